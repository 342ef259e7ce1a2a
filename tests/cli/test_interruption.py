"""Ctrl-C without a terminal. Each test sends a signal to a real process."""

import re
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.batches.canceling import CONCURRENCY
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import PROGRAM, Run, cancels, running


def test_an_interruption_reports_what_was_sent_and_what_was_not(sandbox: Sandbox) -> None:
    ids = running(sandbox, 150)
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    command = [*PROGRAM, *ids]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while len(cancels(sandbox)) < CONCURRENCY and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "0 cancel requests were answered" in errors
    assert re.search(r"these may be canceling: (msgbatch_\w+ ?)+", errors)
    assert re.search(r"Not sent.*(msgbatch_\w+ ?)+", errors)
    assert "Traceback" not in errors


@pytest.mark.parametrize("arguments", [[EXAMPLE_ID], ["list"], ["wait", EXAMPLE_ID]])
def test_an_interruption_at_any_moment_prints_no_traceback(sandbox: Sandbox, arguments: list[str]) -> None:
    sandbox.fail(Fault(match="batches", times=0, hang=True))
    command = [*PROGRAM, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not sandbox.journal and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors


def test_an_interrupted_wait_reports_the_batches_that_have_ended(sandbox: Sandbox) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    command = [*PROGRAM, "wait", EXAMPLE_ID, ended]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline() == f"{EXAMPLE_ID} in_progress\n"
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"Message batch {ended} (5 requests) has ended" in said
    assert f"Interrupted; not ended yet: {EXAMPLE_ID}." in errors


def test_cancels_under_a_lasting_limit_say_what_they_wait_for_and_that_nothing_was_canceled(sandbox: Sandbox) -> None:
    ids = running(sandbox, 2)
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "30"}))
    with subprocess.Popen([*PROGRAM, *ids], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        waits = process.stderr.readline()
        deadline = time.monotonic() + 30
        while len(cancels(sandbox)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert waits == "The API is limiting requests (429): trying again in 30 s.\n"
    assert process.returncode == 130
    assert re.search(r"Refused by the rate limit \(429\), not canceled: (msgbatch_\w+ ?){2}", errors)
    assert "may be canceling" not in errors


@pytest.mark.parametrize("retries", ["0", "1"])
def test_cancels_under_a_lasting_limit_end_where_the_retries_are_limited_to_none(
    sandbox: Sandbox, run: Run, retries: str
) -> None:
    ids = running(sandbox, 2)
    pause = "30" if retries == "0" else "0.01"
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": pause}))
    done = run(*ids, "--max-retries", retries, "--timeout", "2s")
    assert done.returncode == 1
    assert "limiting requests" in done.stderr


def test_a_cancel_that_waits_after_a_429_is_reported_as_not_canceled(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "30"}))
    with subprocess.Popen([*PROGRAM, EXAMPLE_ID], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not cancels(sandbox) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert f"Refused by the rate limit (429), not canceled: {EXAMPLE_ID}" in errors
    assert "may be canceling" not in errors


LIMITED_FOR_LONG = Fault(status=429, headers={"retry-after": "30"})


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Fault(status=500, after=True, headers={"retry-after-ms": "1"}), LIMITED_FOR_LONG),
        (Fault(status=429, headers={"retry-after-ms": "1"}), Fault(hang=True, after=True)),
    ],
    ids=["server error, then a limit", "a limit, then silence"],
)
def test_a_cancel_of_which_one_attempt_may_have_arrived_is_not_told_as_not_canceled(
    sandbox: Sandbox, first: Fault, then: Fault, count: int
) -> None:
    ids = running(sandbox, count)
    for name in ids:
        sandbox.fail(replace(first, match=f"{name}/cancel"))
        sandbox.fail(replace(then, match=f"{name}/cancel"))
    with subprocess.Popen([*PROGRAM, *ids], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while len(cancels(sandbox)) < 2 * count and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.search(rf"may be canceling: (msgbatch_\w+ ?){{{count}}}", errors)
    assert "not canceled" not in errors
