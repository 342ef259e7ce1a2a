"""Standard streams that are closed or full, and readers that go away. Each test needs real processes."""

import contextlib
import json
import os
import subprocess
import sys

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import PROGRAM, cancels, running


def test_a_reader_that_goes_away_ends_the_output_quietly(sandbox: Sandbox) -> None:
    for command in ("list", "list --json", "--help", f"{EXAMPLE_ID} --json"):
        piped = f"{sys.executable} -m cancel_message_batch {command} | true"
        done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == "", command


def waits(process: "subprocess.Popen[bytes]") -> bool:
    """Give a process the time to fail if it does not wait for the other end of a pipe."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(3)
    return process.returncode is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_pipes_that_are_set_not_to_wait_lose_nothing(sandbox: Sandbox, batches: MessageBatches) -> None:
    full, theirs = os.pipe()
    ids, ours = os.pipe()
    for descriptor in (theirs, ids):
        os.set_blocking(descriptor, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(theirs, b"x" * 1000)
    with subprocess.Popen([*PROGRAM, "list", "--json"], stdout=theirs) as listing:
        os.close(theirs)
        assert waits(listing)
        with open(full, "rb") as output:
            lines = output.read()[filled:].splitlines()
    assert [json.loads(line)["id"] for line in lines] == [batch.id for batch in batches.list()]
    with subprocess.Popen([*PROGRAM, "-"], stdin=ids) as canceling:
        os.close(ids)
        assert waits(canceling)
        with open(ours, "w") as given:
            given.write(EXAMPLE_ID)
    assert canceling.returncode == 0
    assert cancels(sandbox) == [EXAMPLE_ID]


# Each redirection, with commands that read or write these streams, and their exit codes.
@pytest.mark.parametrize(
    ("streams", "others"),
    [
        pytest.param(streams, others, id=streams)
        for streams, others in {
            "<&-": {"-": 2},
            ">&-": {"--help": 0},
            "2>&-": {"list --nonsense": 2},
            ">/dev/full": {"list": 0, "completion bash": 0},
            "2>/dev/full": {"wait {ended} {never} --timeout 0": 5},
            "<&- >&- 2>&-": {"{running}": 0},
        }.items()
    ],
)
def test_closed_and_full_streams_stop_no_work(sandbox: Sandbox, streams: str, others: dict[str, int]) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    ids = running(sandbox, 2)
    for command, code in {**others, " ".join([*ids, ended]): 4}.items():
        given = command.format(ended=ended, never=EXAMPLE_ID, running=ids[0])
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m cancel_message_batch {given} {streams}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, given
        assert "Traceback" not in done.stderr, given
        assert "Exception" not in done.stderr, given
        if (command, streams) == ("list", ">/dev/full"):
            assert "No space left" in done.stderr
    assert sorted(set(cancels(sandbox))) == sorted([*ids, ended])
