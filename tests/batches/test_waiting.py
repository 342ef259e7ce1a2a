"""Waiting through faults, within the time there is, through the command line."""

import time
from dataclasses import replace

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import Run, cancels, running


def test_waiting_survives_what_passes_and_gives_up_in_time(sandbox: Sandbox, run: Run) -> None:
    (active,) = running(sandbox, 1)
    sandbox.fail(Fault(match="GET", times=6, status=500, headers={"retry-after": "0.01"}))
    assert run(active, "--wait", "--timeout", "50s").returncode == 0
    late = run("wait", EXAMPLE_ID, "--timeout", "1s")
    assert late.returncode == 5
    assert "The time is up" in late.stderr


def test_waiting_for_many_asks_for_them_together(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 20)
    assert run(*ids, "--wait", "--timeout", "50s", "--quiet").returncode == 0
    assert not [exchange for exchange in sandbox.journal if exchange.method == "GET" and "msgbatch" in exchange.path]


@pytest.mark.parametrize("count", [1, 6])
def test_waiting_ends_in_time_also_when_nothing_answers(sandbox: Sandbox, run: Run, count: int) -> None:
    ids = running(sandbox, count)
    sandbox.fail(Fault(match="GET", times=0, hang=True))
    began = time.monotonic()
    late = run("wait", *ids, "--timeout", "2s")
    assert late.returncode == 5
    assert time.monotonic() - began < 10
    assert (
        f"status unknown (last: the API at {sandbox.url.rpartition('/')[2]} did not answer in time): {' '.join(ids)}"
        in late.stderr
    )
    assert "not ended yet" not in late.stderr


def test_waiting_no_time_at_all_looks_once(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    late = run("wait", EXAMPLE_ID, ended, "--timeout", "0")
    assert late.returncode == 5
    assert f"The time is up; not ended yet: {EXAMPLE_ID}." in late.stderr
    assert f"Message batch {ended} (5 requests) has ended" in late.stdout
    assert len(sandbox.journal) == 2
    assert run(EXAMPLE_ID, "--wait", "--timeout", "0").returncode == 5
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert run("wait", ended, "--timeout", "0").returncode == 0


@pytest.mark.parametrize("trouble", [Fault(times=0, status=500), Fault(times=0, hang=True)], ids=["500", "hung"])
def test_trouble_with_one_batch_does_not_keep_the_others_from_being_reported(
    sandbox: Sandbox, run: Run, trouble: Fault
) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    sandbox.fail(replace(trouble, match=EXAMPLE_ID))
    done = run("wait", EXAMPLE_ID, ended, "--timeout", "3s", "--max-retries", "0")
    assert done.returncode == 5
    assert f"Message batch {ended} (5 requests) has ended" in done.stdout
    assert f"): {EXAMPLE_ID}." in done.stderr
    assert done.stderr.count("trying again: ") == 1


def test_the_longest_pause_that_the_api_asks_for_is_kept(sandbox: Sandbox, run: Run) -> None:
    others = running(sandbox, 2)
    for name, seconds in zip((EXAMPLE_ID, *others), ("1", "30", "2"), strict=True):
        sandbox.fail(Fault(match=name, times=0, status=429, headers={"retry-after": seconds}))
    assert run("wait", EXAMPLE_ID, *others, "--timeout", "4s", "--max-retries", "0").returncode == 5
    assert len(sandbox.journal) == 6  # a look at the beginning, and one at the end


@pytest.mark.parametrize("count", [1, 6])
def test_waiting_gives_up_on_what_is_not_the_api(sandbox: Sandbox, run: Run, count: int) -> None:
    sandbox.fail(Fault(match="GET", times=0, body="<html>hi</html>", content_type="text/html"))
    done = run("wait", *running(sandbox, count))
    assert done.returncode == 1
    assert done.stderr.count("Check that the base URL") == 1
    assert len(sandbox.journal) == 3
