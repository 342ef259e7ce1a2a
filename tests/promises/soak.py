"""Everything at once under 5 % faults, for a while: ``python -m tests.promises.soak SECONDS`` (``make soak``).

``wait``, many cancels, ``guard``, ``run`` and the MCP server work side by side against a sandbox in its own process.
Each outcome is held against the sandbox's state. At the end nothing may have grown and no batch may be left.
"""

import asyncio
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import psutil

from cancel_message_batch import MessageBatches, ToolOutcome, guard
from cancel_message_batch.api.credentials import connect
from cancel_message_batch.api.retries import RetryPolicy
from cancel_message_batch.batches.canceling import Progress, cancel_many, client_for_many
from cancel_message_batch.batches.waiting import Wait
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.sandbox import FAULTS
from tests.conftest import PROGRAM
from tests.guarding.programs import REQUESTS, TroubleError, fails
from tests.mcp_server.clients import over_stdio, text

from .operations import SAYS, word_for
from .page import write_part

SHARE = 0.05  # of the operations meet a fault
# Not those that would stop everything else too, or that need memory by themselves.
NAMES = sorted(set(FAULTS) - {"refused", "50 MB"})
GROWTH = 0.10  # of its size after the warm-up, and some MB for what the interpreter itself does
SLACK = 6 * 2**20
STOPPED = {"canceling", "ended"}
KEPT_RUNNING = 20  # one of so many of the command's batches runs until its end
COMMAND = """
import json, os, sys, urllib.request
api, sandbox, rounds = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages/batches", sys.argv[1], 0
headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
headers["content-type"] = "application/json"
body = json.dumps({"requests": [{"custom_id": "q", "params": {"model": "claude-haiku-4-5"}}]}).encode()
def send(url, data=None):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
        return json.loads(response.read() or b"null")
while sys.stdin.readline():
    rounds += 1
    id = send(api, body)["id"]
    if rounds % int(sys.argv[2]):
        send(f"{sandbox}/_sandbox/batches/{id}/finish", b"")
        send(f"{api}/{id}")
    print(id, flush=True)
sys.exit(1)
"""


class World:
    """The sandbox, and what the workers find."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url, self.end = url, time.monotonic() + seconds
        self.done: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.faults = 0
        self.wrong: list[str] = []
        self.processes: dict[str, psutil.Process] = {"wait, many, guard": psutil.Process()}
        self.sizes: dict[str, list[int]] = {}
        self._http = httpx2.Client(base_url=url, timeout=30)
        self._lock = threading.Lock()

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end and not self.wrong

    def admin(self, path: str, **body: Any) -> Any:
        with self._lock:  # a client for all threads
            response = self._http.post(f"/_sandbox/{path}", json=body).raise_for_status()
        return response.json() if response.content else None

    def add(self) -> str:
        return str(self.admin("batches", requests=200, status="in_progress")["id"])

    def maybe_fail(self, operation: str, message_batch_id: str) -> None:
        if random.random() < SHARE:
            name = random.choice(NAMES)
            if operation == "retrieve" and name.startswith("status 4"):
                name = "status 500"  # `wait` rightly gives up on the others
            self.faults += 1
            which = f"POST */{message_batch_id}/cancel" if operation == "cancel" else f"GET */{message_batch_id}"
            self.admin("faults", name=name, match=which)

    def statuses(self) -> dict[str, str]:
        with self._lock:
            listed = self._http.get("/_sandbox/batches").raise_for_status().json()
        return {each["id"]: each["processing_status"] for each in listed}

    def judge(self, where: str, message_batch_id: str, word: str) -> None:
        """Hold what was said of a cancel against the truth, and clear the batch away, also where it was not stopped."""
        self.done[where] += 1
        self.told[word] += 1
        status = self.statuses().get(message_batch_id, "gone")
        if (word == "accepted" and status not in STOPPED) or (word == "refused" and status in STOPPED):
            self.wrong.append(f"{where}: {message_batch_id} was told as {word}, and is {status}")
        self.clear(message_batch_id)

    def clear(self, message_batch_id: str) -> None:
        self.admin(f"batches/{message_batch_id}/finish")
        with self._lock:
            self._http.delete(f"/v1/messages/batches/{message_batch_id}", headers={"x-api-key": "k"})

    def sample(self) -> None:
        for name, process in self.processes.items():
            with suppress(psutil.Error):
                self.sizes.setdefault(name, []).append(process.memory_info().rss)


def wait(world: World) -> None:
    with MessageBatches(timeout=5) as batches:
        while world.goes_on:
            one = world.add()
            world.maybe_fail("retrieve", one)
            waiting = Wait(batches, [one])
            for _ in waiting.looks(60):
                if one not in waiting.failed and world.statuses()[one] != "ended":
                    world.admin(f"batches/{one}/finish")
            if waiting.pending or (one not in waiting.failed and not waiting.found[one].ended):
                world.wrong.append(f"wait: {one} was not seen to end")
            world.done["wait"] += 1
            world.clear(one)


def many(world: World) -> None:
    connection = connect()

    async def cancel(ids: Sequence[str]) -> dict[str, ToolOutcome]:
        progress, notes = Progress(), CancelNotes("soak")
        async with client_for_many(connection) as batches:
            policy = RetryPolicy(timeout=5)
            await cancel_many(batches, ids, lambda _: None, policy=policy, progress=progress, notes=notes)
        notes.write()
        return progress.outcomes

    while world.goes_on:
        ids = [world.add() for _ in range(20)]
        for one in ids:
            world.maybe_fail("cancel", one)
        outcomes = asyncio.run(cancel(ids))
        if set(outcomes) != set(ids):
            world.wrong.append(f"many: {len(outcomes)} outcomes for {len(ids)} batches")
        for one, outcome in outcomes.items():
            world.judge("many", one, word_for(outcome.text, one))


def guarded(world: World) -> None:
    with anthropic.Anthropic(max_retries=0, timeout=5) as sdk:
        while world.goes_on:
            ids: list[str] = []
            with fails() as notes, guard(sdk, deadline=5) as batches:
                ids += [batches.create(requests=REQUESTS).id for _ in range(2)]
                for one in ids:
                    world.maybe_fail("cancel", one)
                raise TroubleError
            for one in ids:
                accepted = any(
                    line.startswith(("Canceling: ", "Ended: ")) and one in line for line in notes[0].splitlines()
                )
                world.judge("guard", one, "accepted" if accepted else word_for(notes[0], one))


def over_mcp(world: World) -> None:
    async def calls() -> None:
        async with over_stdio("legacy", "--timeout", "5s") as client:
            children = psutil.Process().children(recursive=True)
            world.processes["MCP server"] = next(each for each in children if each.cmdline()[-3:-2] == ["mcp"])
            while world.goes_on:
                one = world.add()
                world.maybe_fail("cancel", one)
                result = await client.call_tool("cancel_message_batch", {"message_batch_id": one})
                world.judge("MCP", one, word_for(text(result), one))
                await asyncio.sleep(0.02)

    asyncio.run(calls())


def under_run(world: World) -> None:
    command = [*PROGRAM, "run", "--deadline", "30s", "--", sys.executable, "-c", COMMAND, world.url, str(KEPT_RUNNING)]
    created = []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        world.processes["run"] = psutil.Process(process.pid)
        while world.goes_on:
            process.stdin.write("\n")
            process.stdin.flush()
            created.append(process.stdout.readline().strip())
            if len(created) % KEPT_RUNNING:
                world.clear(created[-1])
            time.sleep(0.1)
        left = created[KEPT_RUNNING - 1 :: KEPT_RUNNING]
        for one in left:
            world.maybe_fail("cancel", one)
        world.processes.pop("run")
        process.stdin.close()
        process.stdin = None
        _, errors = process.communicate(timeout=90)
    accepted = [line for line in errors.splitlines() if line.startswith(("Canceling: ", "Ended: "))]
    for one in left:
        world.judge("run", one, "accepted" if any(one in line for line in accepted) else word_for(errors, one))
    world.done["run: created"] += len(created)
    if process.returncode != 1:
        world.wrong.append(f"run: exit code {process.returncode}: {errors[-500:]}")


def caught(work: Callable[[World], None], world: World) -> None:
    try:
        work(world)
    except BaseException as error:  # noqa: BLE001 - the main thread reports it
        world.wrong.append(f"{work.__name__}: {type(error).__name__}: {str(error)[:2000]}")


def grown(world: World) -> list[str]:
    """Return a row for each process, and note those that grew after the warm-up, which is a third of the time."""
    rows = []
    for name, sizes in world.sizes.items():
        third = len(sizes) // 3
        before, after = statistics.median(sizes[third : 2 * third]), statistics.median(sizes[-third:])
        if after > before * (1 + GROWTH) + SLACK:
            world.wrong.append(f"{name}: {before / 2**20:.0f} MB grew to {after / 2**20:.0f} MB")
        rows.append(f"| memory of {name}, middle and last third | {before / 2**20:.0f} MB, {after / 2**20:.0f} MB |")
    return rows


def soak(url: str, seconds: float) -> list[str]:
    """Let all work for so long; returns the figures as rows of a table, or exits with what went wrong."""
    world = World(url, seconds)
    workers = [
        threading.Thread(target=caught, args=(work, world)) for work in (wait, many, guarded, over_mcp, under_run)
    ]
    for worker in workers:
        worker.start()
    while world.goes_on:
        time.sleep(min(1.0, seconds / 60))
        world.sample()
        if len(next(iter(world.sizes.values()))) % 60 == 0:
            httpx2.delete(f"{url}/_sandbox/requests")
    for worker in workers:
        worker.join()
    memory = [] if world.wrong else grown(world)
    left = [one for one, status in world.statuses().items() if status not in STOPPED]
    if left or world.wrong:
        sys.exit("\n".join([*world.wrong, f"left running: {left}"]))
    return [
        f"| time | {seconds:.0f} s |",
        *(f"| {what} | {number:,} |" for what, number in sorted(world.done.items())),
        f"| faults | {world.faults:,} |",
        f"| cancels told as {', '.join(SAYS)} | {', '.join(f'{world.told[word]:,}' for word in SAYS)} |",
        *memory,
        "| batches told wrongly, lost or left running | 0 |",
    ]


def main() -> None:
    seconds = float(sys.argv[1])
    logging.getLogger("cancel_message_batch").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as folder:
        account = Path(folder, "account.json")
        account.write_text(json.dumps({"batches": []}))
        for name in [name for name in os.environ if name.startswith("ANTHROPIC_") or name.lower().endswith("_proxy")]:
            del os.environ[name]
        command = [*PROGRAM, "sandbox", "--port", "0", "--speed", "1", "--account", str(account)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                url = process.stdout.readline().split()[-1]
                os.environ["ANTHROPIC_BASE_URL"], os.environ["ANTHROPIC_API_KEY"] = url, "soak-key-0123456789"
                os.environ["CANCEL_MESSAGE_BATCH_RECORD"] = str(Path(folder, "record.sqlite3"))
                rows = soak(url, seconds)
            finally:
                process.terminate()
    write_part("soak", "\n".join(["| | |", "|---|---|", *rows]))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
