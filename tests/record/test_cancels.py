"""One record for all doors: each cancel is noted, however it was ordered, and nothing else is."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import pytest

from cancel_message_batch import Conversation, MessageBatches, aio, cancel_message_batch
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.record.cancels import INTERRUPTED, _warn_once
from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL
from tests.conftest import cancels, running

ARGUMENTS = {"message_batch_id": EXAMPLE_ID}


def noted() -> list[tuple[str, str, str | None, str | None]]:
    history = open_record(pytest.fail).history()
    return [(entry.through, entry.message_batch_id, entry.consent, entry.answer) for entry in history]


def in_a_loop(call: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    return lambda *given, **more: asyncio.run(call(*given, **more))


async def yes(_batch: Any) -> bool:
    return True


DOORS: dict[str, tuple[Callable[[], Any], tuple[str, str | None]]] = {
    "function": (lambda: cancel_message_batch(EXAMPLE_ID), ("function", None)),
    "async function": (lambda: in_a_loop(aio.cancel_message_batch)(EXAMPLE_ID), ("function", None)),
    "tool": (lambda: CANCEL.run(ARGUMENTS), ("tool", None)),
    "tool with a yes": (lambda: CANCEL.run(ARGUMENTS, approve=lambda _: True), ("tool", "yes")),
    "async tool with a yes": (lambda: in_a_loop(CANCEL.run_async)(ARGUMENTS, approve=yes), ("tool", "yes")),
    "conversation": (
        lambda: Conversation(anthropic.Anthropic()).say(f"Cancel {EXAMPLE_ID}."),
        ("conversation", "named"),
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_cancel_is_in_the_history_with_the_door_that_it_went_through(sandbox: Sandbox, door: str) -> None:
    call, (through, consent) = DOORS[door]
    call()
    assert noted() == [(through, EXAMPLE_ID, consent, "canceling")]
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_the_bare_client_notes_nothing(batches: MessageBatches, tmp_path: Path) -> None:
    batches.cancel(EXAMPLE_ID)
    assert noted() == []
    assert not (tmp_path / "state").exists()


def test_what_cancels_nothing_is_not_noted(sandbox: Sandbox, tmp_path: Path) -> None:
    CANCEL.run(ARGUMENTS, approve=lambda _: False)
    CANCEL.run({"message_batch_id": "5"})
    CANCEL.run({"message_batch_id": "msgbatch_unknown"}, approve=lambda _: True)
    assert not (tmp_path / "state").exists()


def test_a_record_that_is_turned_off_is_not_written(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", "off")
    assert "is accepted" in cancel_message_batch(EXAMPLE_ID)
    assert list(tmp_path.iterdir()) == []
    assert caplog.text == ""


def test_a_record_that_cannot_be_used_costs_one_warning_and_never_a_cancel(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("not a database" * 100)
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", str(broken))
    _warn_once.cache_clear()
    ids = running(sandbox, 2)
    for name in ids:
        assert "is accepted" in cancel_message_batch(name)
    assert cancels(sandbox) == ids
    (warning,) = caplog.records
    assert warning.name == "cancel_message_batch.record"
    assert "cannot be used" in warning.getMessage()


def test_an_async_cancel_that_is_canceled_while_it_is_under_way_is_noted(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="POST */cancel", times=0, hang=True))

    async def program() -> None:
        task = asyncio.create_task(CANCEL.run_async(ARGUMENTS))
        while not cancels(sandbox):  # noqa: ASYNC110 - the sandbox wakes nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())
    assert noted() == [("tool", EXAMPLE_ID, None, INTERRUPTED)]


def test_an_interrupted_cancel_is_noted(sandbox: Sandbox) -> None:
    class Interrupted(MessageBatches):
        def cancel(self, message_batch_id: str, /) -> Any:
            super().cancel(message_batch_id)
            raise KeyboardInterrupt

    with Interrupted() as client, pytest.raises(KeyboardInterrupt):
        CANCEL.run(ARGUMENTS, client)
    assert noted() == [("tool", EXAMPLE_ID, None, INTERRUPTED)]


FROM_WORKER_THREADS = """
import sys, anyio, anyio.from_thread, anyio.to_thread
from cancel_message_batch.aio import cancel_message_batch
from cancel_message_batch.results.tool import async_results_function

save = async_results_function(sys.argv[1])

async def main():
    anyio.to_thread.current_default_thread_limiter().total_tokens = 1
    for function in cancel_message_batch, save:
        print(await anyio.to_thread.run_sync(anyio.from_thread.run, function, sys.argv[2]))

anyio.run(main)
"""


def test_callers_in_all_worker_threads_of_anyio_get_their_outcomes(sandbox: Sandbox, tmp_path: Path) -> None:
    program = [sys.executable, "-c", FROM_WORKER_THREADS, str(tmp_path), EXAMPLE_ID]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=True)  # they waited forever
    assert "accepted" in done.stdout
    assert "has no results yet" in done.stdout
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_while_another_process_writes_the_record_the_event_loop_goes_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cancel_message_batch.record.store._PATIENCE", 60.0)
    record = open_record(pytest.fail)
    record.set_name(EXAMPLE_ID, "mine")
    assert record.path

    async def program() -> None:
        with closing(sqlite3.connect(str(record.path), isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(CANCEL.run_async(ARGUMENTS))
            while not cancels(sandbox):  # noqa: ASYNC110 - the sandbox wakes nobody
                await asyncio.sleep(0.01)
            done, _ = await asyncio.wait([task], timeout=0.3)  # a blocked loop would never get past this line
            assert not done
            lock.execute("ROLLBACK")
            await task

    asyncio.run(program())
    assert ("tool", EXAMPLE_ID, None, "canceling") in noted()
