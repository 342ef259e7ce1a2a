"""Programs with guarded blocks, and what their tests have in common."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import anyio
import pytest

from cancel_message_batch import guard
from cancel_message_batch.record.store import Record, open_record
from cancel_message_batch.sandbox import Sandbox

REQUESTS: list[Any] = [
    {"custom_id": f"request-{n}", "params": {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": []}}
    for n in range(3)
]
SCRIPT = """
import asyncio, contextlib, os, signal, sys, time
import anthropic
from cancel_message_batch import guard

kind, mode = sys.argv[1:]
requests = [{"custom_id": f"request-{n}", "params": {"model": "claude-haiku-4-5"}} for n in range(3)]

def children_die():
    for code in 5, 0, 1:
        ready, tell = os.pipe()
        child = os.fork()
        if not child:
            with guard(anthropic.Anthropic()) if code == 1 else contextlib.nullcontext() as own:
                own and print(own.create(requests=requests).id, flush=True)
                os.write(tell, b"x")
                time.sleep(0 if code == 5 else 30)
            sys.exit(code)
        if os.read(ready, 1) and code != 5:
            os.kill(child, signal.SIGTERM)
        print("child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)

act = {
    "wait": lambda: time.sleep(30),
    "raise": lambda: 1 / 0,
    "_exit": lambda: os._exit(4),
    "children die": children_die,
}[mode]

def sync():
    with guard(anthropic.Anthropic(), name="nightly eval") as outer, guard(outer) as batches:
        print(batches.create(requests=iter(requests)).id, flush=True)
        act()

async def run():
    async with guard(anthropic.AsyncAnthropic(), name="nightly eval") as batches:
        print((await batches.create(requests=iter(requests))).id, flush=True)
        await asyncio.sleep(30) if mode == "wait" else act()

async def two_tasks():
    await asyncio.gather(run(), run())

async def sync_in_async():
    sync()

{
    "sync": sync,
    "async": lambda: asyncio.run(run()),
    "two tasks": lambda: asyncio.run(two_tasks()),
    "sync in async": lambda: asyncio.run(sync_in_async()),
}[kind]()
"""


class Program:
    """A process that has created its batches, in two nested guards where it is sync, and now waits or dies."""

    def __init__(self, kind: str, mode: str) -> None:
        if mode == "wait" and sys.platform == "win32":
            pytest.skip("no signal can be sent to a program")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, kind, mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.ids = [self.process.stdout.readline().strip() for _ in range(2 if kind == "two tasks" else 1)]
        assert self.ids[-1], self.process.communicate()[1]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def status(sandbox: Sandbox, message_batch_id: str) -> str:
    return sandbox.account.get(message_batch_id).status(sandbox.account.now())


def record() -> Record:
    return open_record(pytest.fail)


class TroubleError(Exception):
    pass


def client() -> anthropic.Anthropic:
    return anthropic.Anthropic(max_retries=1)


@contextmanager
def fails() -> Iterator[list[str]]:
    """A block that the guard is expected to leave by its own exception; yields the notes that it then has."""
    notes: list[str] = []
    with pytest.raises(TroubleError) as raised:
        yield notes
    notes += getattr(raised.value, "__notes__", [])


def leave(
    error: BaseException | None, *, asynchronous: bool, last: Callable[[str], object] = str, **options: Any
) -> str:
    """Create a batch in a guarded block, call ``last`` with its id, and leave the block; returns the id."""
    ids: list[str] = []

    async def run() -> None:
        async with anthropic.AsyncAnthropic(max_retries=1) as sdk, guard(sdk, **options) as batches:
            ids.append((await batches.create(requests=REQUESTS)).id)
            last(ids[0])
            if error:
                raise error

    if asynchronous:
        anyio.run(run)
    else:
        with client() as sdk, guard(sdk, **options) as batches:
            ids.append(batches.create(requests=REQUESTS).id)
            last(ids[0])
            if error:
                raise error
    return ids[0]


def fail(*, asynchronous: bool, last: Callable[[str], object] = str, **options: Any) -> tuple[str, str]:
    """Leave a guarded block as above by a ``TroubleError``; returns the id of its batch and the note on the error."""
    ids: list[str] = []

    def noting(one: str) -> None:
        ids.append(one)
        last(one)

    with fails() as notes:
        leave(TroubleError(), asynchronous=asynchronous, last=noting, **options)
    return ids[0], notes[0]
