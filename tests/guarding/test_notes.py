"""What the record keeps of a guarded block: found is what a killed program left, and nothing that is wanted."""

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from cancel_message_batch import guard
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import KEY, cancels

from .conftest import Connection, Upstream
from .programs import REQUESTS, TroubleError, client, fails, leave, record, until

both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
CREATES = """
import anthropic
from cancel_message_batch import guard

with guard(anthropic.Anthropic(), name="nightly") as batches:
    batches.create(requests=[{"custom_id": one, "params": {"system": "secret"}} for one in "ab"])
"""
FORKS = """
import anthropic, os, signal, sys
from cancel_message_batch import guard

def act():
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "fails":
        raise ValueError

with guard(anthropic.Anthropic()) as batches:
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        if sys.argv[1] == "late":
            os.read(ready, 1)
        batches.create(requests=[{"custom_id": "a", "params": {}}])
        os._exit(0)
    if sys.argv[1] != "late":
        os.waitpid(child, 0)
    print(os.getpid(), flush=True)
    input()
    act()
os.write(tell, b"x")
sys.argv[1] == "late" and os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to a program")
def test_a_create_in_which_its_program_was_killed_is_found_without_its_prompts(slow: Sandbox) -> None:
    slow.fail(Fault(match="POST */batches", hang=True))
    program = subprocess.Popen([sys.executable, "-c", CREATES])
    until(lambda: slow.journal)
    program.kill()
    program.wait()
    (intent,) = record().open_intents(slow.url)
    assert intent.requests == 2
    assert (intent.creator.through, intent.creator.pid) == ("guard", program.pid)
    path = record().path
    assert path
    assert b"secret" not in b"".join(one.read_bytes() for one in path.parent.iterdir())


@both
def test_the_hash_that_is_kept_of_a_create_is_that_of_its_body(upstream: Upstream, asynchronous: bool) -> None:
    bodies: list[bytes] = []

    def script(connection: Connection) -> None:
        bodies.append(connection.message().partition(b"\r\n\r\n")[2])

    upstream.script = script
    requests: list[Any] = [{"custom_id": "ä", "params": {"temperature": 0.1, "system": "€ 😀 \n"}}, *REQUESTS]
    url = f"http://127.0.0.1:{upstream.port}"
    options: dict[str, Any] = {"base_url": url, "api_key": KEY, "max_retries": 0}

    async def create() -> None:
        async with anthropic.AsyncAnthropic(**options) as sdk, guard(sdk) as batches:
            await batches.create(requests=requests)

    def create_here() -> None:
        with anthropic.Anthropic(**options) as sdk, guard(sdk) as batches:
            batches.create(requests=requests)

    with pytest.raises(anthropic.APIConnectionError):
        asyncio.run(create()) if asynchronous else create_here()
    (intent,) = record().open_intents(url)
    assert intent.sha256 == hashlib.sha256(bodies[0]).hexdigest()


def test_a_create_that_the_api_refused_is_not_looked_for(slow: Sandbox) -> None:
    slow.fail(Fault(match="POST */batches", status=400))
    with pytest.raises(anthropic.BadRequestError), client() as sdk, guard(sdk) as batches:
        batches.create(requests=REQUESTS)
    assert record().open_intents(slow.url) == []


@both
@pytest.mark.parametrize(
    ("error", "options", "end"),
    [
        (None, {}, ""),
        (SystemExit(0), {}, ""),
        (TroubleError(), {}, "TroubleError"),
        (SystemExit(1), {}, "SystemExit"),
        (None, {"cancel": "always"}, "normal end"),
    ],
    ids=["normal end", "exit 0", "exception", "exit 1", "always"],
)
@pytest.mark.parametrize("refused", [False, True], ids=["accepted", "refused"])
def test_only_a_batch_whose_cancel_was_not_confirmed_is_left_behind(
    slow: Sandbox, refused: bool, asynchronous: bool, *, error: BaseException | None, options: Any, end: str
) -> None:
    if refused:
        slow.fail(Fault(match="cancel", times=0, status=403))
    with contextlib.suppress(TroubleError, SystemExit):
        leave(error, asynchronous=asynchronous, **options)
    (name,) = [one.message_batch_id for one in record().history() if one.what == "create"]
    left = record().left_behind(slow.url)
    assert list(left) == ([name] if end and refused else [])
    assert not left or left[name].end == end
    creator = record().creators(slow.url, [name])[name]
    assert (creator.through, creator.pid) == ("guard", os.getpid())
    assert creator.well is not (bool(error and end) or bool(left))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize(("how", "left"), [("well", False), ("late", False), ("fails", True), ("killed", True)])
def test_a_batch_that_a_forked_child_created_through_the_guard_of_its_parent_is_wanted_as_the_block_ends(
    slow: Sandbox, how: str, left: bool
) -> None:
    program = subprocess.Popen([sys.executable, "-c", FORKS, how], stdin=-1, stdout=-1, stderr=-1, text=True)
    assert program.stdout
    assert program.stdout.readline()
    assert list(record().left_behind(slow.url)) == []  # the child has ended, its parent has not
    program.communicate("\n", timeout=60)
    (name,) = [one.message_batch_id for one in record().history()]
    creator = record().creators(slow.url, [name])[name]
    assert creator.pid != program.pid
    assert (creator.well, creator.end) == {"fails": (False, "ValueError"), "killed": (None, None)}.get(
        how, (True, "normal end")
    )
    assert list(record().left_behind(slow.url)) == ([name] if left else [])
    assert cancels(slow) == []


def test_requests_that_cannot_be_hashed_are_created_as_the_sdk_takes_them(slow: Sandbox) -> None:
    requests: Any = [{"custom_id": "a", "params": {("no", "json"): 1}}]
    with pytest.raises(TypeError, match="keys must be"), client() as sdk, guard(sdk) as batches:
        batches.create(requests=requests)
    assert record().open_intents(slow.url) == []


def test_a_record_that_cannot_be_used_stops_neither_a_create_nor_its_cancel(
    slow: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", str(tmp_path))
    with fails(), client() as sdk, guard(sdk) as batches:
        created = batches.create(requests=REQUESTS)
        raise TroubleError
    assert cancels(slow) == [created.id]
    assert len([text for text in caplog.messages if "cannot be used" in text]) == 1


@both
def test_a_batch_that_the_program_keeps_runs_on_and_is_not_left_behind(slow: Sandbox, asynchronous: bool) -> None:
    kept: list[str] = []

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk) as outer, guard(outer) as batches:
            kept.append((await batches.create(requests=REQUESTS)).id)
            kept.append((await batches.create(requests=REQUESTS)).id)
            batches.keep(kept[0])
            raise TroubleError

    with fails() as notes:
        if asynchronous:
            asyncio.run(run())
        else:
            with client() as sdk, guard(sdk) as outer, guard(outer) as batches:
                kept += [batches.create(requests=REQUESTS).id, batches.create(requests=REQUESTS).id]
                batches.keep(kept[0])
                raise TroubleError
    assert cancels(slow) == kept[1:]
    assert f"Left running, because the program keeps it: {kept[0]}." in notes[0]
    assert list(record().left_behind(slow.url)) == []


def test_of_a_guard_in_another_one_only_what_was_not_confirmed_is_left_behind(slow: Sandbox) -> None:
    ids: list[str] = []
    slow.fail(Fault(match="cancel", times=0, status=403))
    with client() as sdk, guard(sdk) as outer:
        ids.append(outer.create(requests=REQUESTS).id)
        with contextlib.suppress(TroubleError), guard(outer, name="inner") as batches:
            ids.append(batches.create(requests=REQUESTS).id)
            raise TroubleError
    with fails(), client() as sdk, guard(sdk) as outer:
        with guard(outer) as batches:
            ids.append(batches.create(requests=REQUESTS).id)
        raise TroubleError
    assert sorted(record().left_behind(slow.url)) == sorted(ids[1:])
    known = record().known(ids[1])
    assert known
    assert known.name == "inner"


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the record, which may lock it."""
    monkeypatch.setattr("cancel_message_batch.record.store._PATIENCE", 60.0)
    record().set_name("msgbatch_01other", "makes the file")
    with contextlib.closing(sqlite3.connect(str(record().path), isolation_level=None)) as other:
        yield other


def test_a_record_that_is_locked_after_a_create_does_not_hold_up_its_cancel(
    slow: Sandbox, lock: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> str:
        locked = asyncio.Event()

        async def lock_until_the_cancel(response: Any) -> None:
            created = response.request.url.path.endswith("/batches")
            lock.execute("BEGIN IMMEDIATE" if created else "ROLLBACK")
            locked.set()

        http = anthropic.DefaultAsyncHttpxClient(event_hooks={"response": [lock_until_the_cancel]})
        async with anthropic.AsyncAnthropic(http_client=http) as sdk:
            with fails():
                async with guard(sdk) as batches:
                    task = asyncio.create_task(batches.create(requests=REQUESTS))
                    await locked.wait()
                    raise TroubleError
            return (await task).id

    name = asyncio.run(run())
    assert cancels(slow) == [name]
    assert "locked" not in caplog.text  # the note was still being tried when the cancel was answered
    assert [(one.what, one.answer) for one in record().history(name)] == [("cancel", "canceling"), ("create", None)]
    assert record().open_intents(slow.url) == []


def test_a_record_that_is_locked_before_a_create_does_not_hold_up_the_event_loop(
    slow: Sandbox, lock: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> str:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk) as batches:
            lock.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(batches.create(requests=REQUESTS))
            for _ in range(9):
                await asyncio.sleep(0)
            assert list(slow.journal) == []
            lock.execute("ROLLBACK")
            return (await task).id

    name = asyncio.run(run())
    assert "locked" not in caplog.text
    assert [one.what for one in record().history(name)] == ["create"]


@both
def test_a_create_that_still_waits_for_the_record_when_its_block_ends_is_not_sent(
    slow: Sandbox, lock: sqlite3.Connection, asynchronous: bool
) -> None:
    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk:
            with fails():
                async with guard(sdk, deadline=1) as batches:
                    lock.execute("BEGIN IMMEDIATE")
                    task = asyncio.create_task(batches.create(requests=REQUESTS))
                    await asyncio.sleep(0)
                    raise TroubleError
            lock.execute("ROLLBACK")
            with pytest.raises(RuntimeError, match="nothing was sent"):
                await task

    def run_here() -> None:
        refused: list[RuntimeError] = []

        def create() -> None:
            try:
                batches.create(requests=REQUESTS)
            except RuntimeError as error:
                refused.append(error)

        thread = threading.Thread(target=create)
        with client() as sdk:
            with fails(), guard(sdk, deadline=1) as batches:
                lock.execute("BEGIN IMMEDIATE")
                thread.start()
                raise TroubleError
            lock.execute("ROLLBACK")
            thread.join()
        assert "nothing was sent" in str(refused[0])

    asyncio.run(run()) if asynchronous else run_here()
    assert list(slow.journal) == []
    until(lambda: record().open_intents(slow.url) == [])
