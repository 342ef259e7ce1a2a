"""What is left in the record of a command under `run`: an intent before each create, and how the command ended."""

import gzip
import json
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import an_example, cancels, eventually

from .commands import BODY, started

if sys.platform == "win32":
    pytest.skip("these use signals and process groups", allow_module_level=True)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox as slow as the API: no batch ends while a process starts."""
    with an_example(monkeypatch, speed=1) as running:
        yield running


@pytest.mark.parametrize(
    ("code", "flags", "end", "well"),
    [
        ("create()", [], "exit code 0", True),
        ("create(); sys.exit(3)", [], "exit code 3", False),
        ("create(); sys.exit(3)", ["--keep"], "exit code 3", True),
        ("create(); os.kill(os.getpid(), signal.SIGKILL)", [], "SIGKILL", False),
        ("create(); os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)", [], "SIGTERM", False),
        (
            "signal.signal(2, lambda *_: sys.exit(0)); create(); os.kill(os.getppid(), 2); time.sleep(60)",
            [],
            "exit code 0 after SIGINT",
            False,
        ),
    ],
    ids=["exit 0", "exit 3", "keep", "SIGKILL", "SIGTERM", "exit 0 after SIGINT"],
)
def test_the_record_says_how_a_command_ended_and_its_canceled_batch_is_not_left_behind(
    sandbox: Sandbox, code: str, flags: list[str], end: str, well: bool
) -> None:
    with started(code, *flags) as process:
        printed, errors = process.communicate(timeout=60)
    batch = printed.decode().strip()
    record = open_record(pytest.fail)
    who = record.creators(sandbox.url, [batch])[batch]
    assert (who.end, who.well, who.alive, who.through) == (end, well, False, "run"), errors
    assert who.ended
    assert cancels(sandbox) == ([] if well else [batch])
    assert (record.left_behind(sandbox.url), record.open_intents(sandbox.url)) == ({}, [])


def test_a_cancel_that_was_not_confirmed_leaves_the_batch_behind(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="POST */cancel", times=0, status=403))
    with started("create(); sys.exit(1)") as process:
        batch = process.communicate(timeout=60)[0].decode().strip()
    left = open_record(pytest.fail).left_behind(sandbox.url)
    assert [(name, who.end) for name, who in left.items()] == [(batch, "exit code 1")]


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/messages/batches?beta=true", "/messages/batches"])
def test_a_command_killed_with_us_before_the_response_leaves_an_intent(sandbox: Sandbox, path: str) -> None:
    sandbox.fail(Fault(match="POST */batches*", after=True, hang=True))
    before = len(sandbox.account.batches())
    with started(f"call({path!r})") as process:
        eventually(lambda: len(sandbox.account.batches()) > before)
        assert open_record(pytest.fail).open_intents(sandbox.url) == []  # its program is alive
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    record = open_record(pytest.fail)
    eventually(lambda: record.open_intents(sandbox.url))
    (intent,) = record.open_intents(sandbox.url)
    assert (intent.requests, intent.creator.end, intent.creator.through) == (3, None, "run")
    assert b"q-0" not in record.path.read_bytes()  # type: ignore[union-attr]
    assert record.left_behind(sandbox.url) == {}


@pytest.mark.parametrize(
    ("call", "body", "requests"),
    [
        ("call()", BODY, 3),
        ("call(body=iter([BODY[:40], BODY[40:]]))", BODY, 3),
        ("call(**{'content-encoding': 'gzip'})", gzip.compress(BODY), None),
        ("call('/v1/messages/batches?beta=true')", BODY, 3),
    ],
    ids=["plain", "chunked", "gzip", "beta"],
)
def test_a_create_whose_response_is_lost_stays_open(
    sandbox: Sandbox, call: str, body: bytes, requests: int | None
) -> None:
    sandbox.fail(Fault(match="POST */batches", after=True, drop=True))
    with started(call, body=body) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"no response came" in errors
    (intent,) = open_record(pytest.fail).open_intents(sandbox.url)
    assert (intent.requests, intent.creator.end) == (requests, "exit code 1")


def test_a_create_that_the_api_refused_leaves_nothing_open(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="POST */batches", status=400))
    with started("call()") as process:
        process.communicate(timeout=60)
    assert open_record(pytest.fail).open_intents(sandbox.url) == []


def test_the_response_of_a_create_may_be_compressed(sandbox: Sandbox) -> None:
    batch = {"id": "msgbatch_01gzip", "type": "message_batch", "processing_status": "in_progress"}
    body = gzip.compress(json.dumps(batch).encode()).decode("latin-1")
    sandbox.fail(Fault(match="POST */batches", headers={"content-encoding": "gzip"}, body=body.encode("latin-1")))
    with started("urllib.request.urlopen(os.environ['ANTHROPIC_BASE_URL'] + '/v1/messages/batches', BODY)") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    record = open_record(pytest.fail)
    assert set(record.creators(sandbox.url, ["msgbatch_01gzip"])) == {"msgbatch_01gzip"}
    assert record.open_intents(sandbox.url) == []


def test_a_command_that_creates_nothing_leaves_nothing_in_the_record(sandbox: Sandbox) -> None:
    with started("") as process:
        process.communicate(timeout=60)
    path = open_record(pytest.fail).path
    assert path
    assert not path.exists()


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"])
def test_a_command_that_ends_while_its_own_cancel_is_under_way_is_not_canceled_again(
    sandbox: Sandbox, end: str
) -> None:
    sandbox.fail(Fault(match="POST */cancel", delay=1.0))
    reading, writing = os.pipe()
    code = (
        "import threading\n"
        "batch = call()['id']; print(batch, flush=True)\n"
        "threading.Thread(target=call, args=(f'/v1/messages/batches/{batch}/cancel', b''), daemon=True).start()\n"
        f"os.read({reading}, 1)\n"  # until the test has seen the cancel
        f"{end}"
    )
    with started(code, pass_fds=(reading,)) as process:
        assert process.stdout
        batch = process.stdout.readline().decode().strip()
        eventually(lambda: cancels(sandbox))
        os.write(writing, b"x")
        _, errors = process.communicate(timeout=60)
    os.close(reading)
    os.close(writing)
    assert cancels(sandbox) == [batch], errors
    assert sandbox.account.get(batch).status(sandbox.account.now()) == "canceling"
    assert open_record(pytest.fail).left_behind(sandbox.url) == {}


def test_a_command_that_closes_its_standard_streams_is_watched_all_the_same(sandbox: Sandbox) -> None:
    with started("[os.close(number) for number in (0, 1, 2)]; call(); os._exit(3)") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    (batch,) = cancels(sandbox)
    assert f"Canceling: {batch}".encode() in errors
    assert open_record(pytest.fail).creators(sandbox.url, [batch])[batch].end == "exit code 3"


@pytest.mark.parametrize("code", [0, 1])
def test_a_guard_that_ended_well_does_not_hide_that_run_could_not_cancel(sandbox: Sandbox, code: int) -> None:
    sandbox.fail(Fault(match="POST */cancel", times=0, status=403))
    guarded = (
        "import anthropic; from cancel_message_batch import guard\n"
        "with guard(anthropic.Anthropic()) as batches:\n"
        "    print(batches.create(requests=json.loads(BODY)['requests']).id, flush=True)\n"
        f"sys.exit({code})"
    )
    with started(guarded) as process:
        batch = process.communicate(timeout=60)[0].decode().strip()
    left = open_record(pytest.fail).left_behind(sandbox.url)
    assert {name: (who.through, who.end) for name, who in left.items()} == (
        {batch: ("run", "exit code 1")} if code else {}
    )
