"""Standard streams that are closed or full, and readers that go away. Each test needs real processes."""

import subprocess
import sys

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import cancels, running


def test_a_reader_that_goes_away_ends_the_output_quietly(sandbox: Sandbox) -> None:
    for command in ("list", "list --json", "--help", f"{EXAMPLE_ID} --json"):
        piped = f"{sys.executable} -m cancel_message_batch {command} | true"
        done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == "", command


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
