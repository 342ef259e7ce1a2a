"""`wait`, and `cancel --wait`."""

import re

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.cli.test_terminal import Terminal
from tests.conftest import Run, described, running


def test_wait_ends_when_the_batches_have_ended_with_their_counts_and_results(sandbox: Sandbox, run: Run) -> None:
    (active,) = running(sandbox, 1)
    done = run(active, "--wait", "--timeout", "50s")
    assert done.returncode == 0
    assert "Final counts: " in done.stdout
    assert "results" in done.stdout
    assert run("wait", active).returncode == 0


@pytest.mark.parametrize("command", [[], ["wait"]])
def test_at_a_terminal_the_end_of_a_batch_says_how_to_save_its_results(sandbox: Sandbox, command: list[str]) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    screen = Terminal(80, *command, ended)
    assert screen.end() == (0 if command else 3)
    assert f"To save the results:\n  cancel-message-batch results {ended}" in screen.text


def test_waiting_for_an_unknown_batch_fails_and_the_others_are_waited_for(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    done = run("wait", ended, "msgbatch_unknown")
    assert done.returncode == 4
    assert "Final counts" in done.stdout
    assert "There is no message batch" in done.stderr


def test_wait_for_all_waits_for_what_has_not_ended_and_the_filters_narrow_it(sandbox: Sandbox, run: Run) -> None:
    new, canceled = running(sandbox, 2)
    run(canceled)
    said = run("wait", "--all", "--newer-than", "1d", "--at-least", "5000", "--timeout", "0")
    assert said.returncode == 5
    assert new in said.stderr
    assert canceled in said.stderr
    assert EXAMPLE_ID not in said.stderr
    assert run("wait", "--all", "--at-least", "99999999").returncode == 0


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 24), (80, 4), (20, 10)])
def test_a_wait_fits_into_the_window_however_small_and_says_how_many_have_ended(
    sandbox: Sandbox, run: Run, columns: int, lines: int
) -> None:
    sandbox.account.speed = 1
    ids = running(sandbox, 30)
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    run("name", ids[1], "nightly eval")
    screen = Terminal(columns, "wait", ended, *ids, lines=lines)
    screen.until("1 of 31 ended" if columns > 20 else "1 of 31")
    if columns > 40 and lines > 20:
        screen.until('"nightly eval"')
    screen.until("more" if lines > 20 else "waiting")
    screen.resize(columns - 5, lines - 1)
    screen.until("1 of 31 ended" if columns > 20 else "1 of 31")
    assert screen.scrolled == 0
    screen.interrupt()
    assert screen.end() == 130
    assert "message batches" in " ".join(screen.lines)
    assert ids[0] not in screen.text


def test_at_a_terminal_a_batch_that_has_ended_is_a_line_with_its_counts(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    run("name", ended, "nightly eval")
    screen = Terminal(80, "wait", ended)
    assert screen.end() == 0
    assert screen.lines[:2] == [f'ended  {ended}  "nightly eval"  5 requests', "  5 succeeded (billed)"]


def test_what_a_wait_shows_is_fit_for_a_terminal(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="GET", body=described("msgbatch_\x1b]0;x", "ended\x07", type="message_batch")))
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", run("wait", EXAMPLE_ID, "--timeout", "0").stderr)
