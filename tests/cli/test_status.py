"""`status`."""

import io
import json
import re

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID, MessageBatch
from cancel_message_batch.cli.reports import block
from cancel_message_batch.sandbox import Account, Sandbox
from tests.cli.test_terminal import Terminal
from tests.conftest import Run, described, running


def test_status_reports_each_batch(sandbox: Sandbox, run: Run) -> None:
    done = run("status", EXAMPLE_ID, "msgbatch_unknown")
    assert done.returncode == 4
    assert "  status    in_progress" in done.stdout
    assert "There is no message batch" in done.stderr


def test_status_is_a_block_of_aligned_lines(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    lines = run("status", ended).stdout.splitlines()
    assert lines[0] == ended
    assert [line[2:12].rstrip() for line in lines[1:]] == [
        "status",
        "created",
        "next",
        "requests",
        "ended",
        "counts",
        "results",
        "workspace",
    ]
    assert re.fullmatch(r"  created   (\d\d\d\d-)?\d\d-\d\d \d\d:\d\d UTC \((2 h|1 h 59 min) ago\)", lines[2])
    assert re.fullmatch(r"  next      its results can be saved until .* UTC", lines[3])
    assert lines[4] == "  requests  5"
    assert lines[7].endswith(f"{ended}/results")


def test_status_of_a_canceled_batch_says_when_that_was_requested_and_that_it_has_not_stopped(
    sandbox: Sandbox, run: Run
) -> None:
    (canceled,) = running(sandbox, 1)
    run(canceled)
    shown = run("status", canceled).stdout
    assert "  status    canceling, not stopped yet\n" in shown
    assert "  canceled  requested " in shown
    assert re.search(r"  next      ends once what is being processed has completed, by .* \(in 2[34] h", shown)
    assert "  counts    known once it has ended\n" in shown
    assert "so far 36 succeeded" in run("status", EXAMPLE_ID).stdout


def test_status_says_first_which_batch_it_is_then_where_it_stands_then_what_comes_next(
    sandbox: Sandbox, run: Run
) -> None:
    (named,) = running(sandbox, 1)
    run("name", named, "nightly eval")
    lines = run("status", named).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["name", "creator", "status", "created", "next"]
    assert lines[5].startswith("  next      ends by ")


def test_status_of_all_means_every_batch_that_has_not_ended_and_the_filters_narrow_it(
    sandbox: Sandbox, run: Run
) -> None:
    new, canceled = running(sandbox, 2)
    run(canceled)
    shown = [json.loads(line) for line in run("status", "--all", "--json").stdout.splitlines()]
    assert {new, canceled, EXAMPLE_ID} <= {batch["id"] for batch in shown}
    assert not any(batch["processing_status"] == "ended" for batch in shown)
    assert EXAMPLE_ID not in run("status", "--all", "--newer-than", "1d").stdout
    nothing = run("status", "--all", "--at-least", "99999999")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "No message batch like that is in_progress or canceling." in nothing.stderr


@pytest.mark.parametrize("columns", ["80", "40"])
def test_no_word_of_a_status_is_broken(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", columns)
    name, now = "msgbatch_" + 24 * "x", "2024-08-20T18:37:24Z"
    counts = {"succeeded": 12_345, "errored": 10, "canceled": 100, "expired": 1_000}
    ended = described(name, "ended", request_counts=counts, ended_at=now, cancel_initiated_at=now, archived_at=now)
    shown = block(MessageBatch.model_validate(ended), Tty())
    assert max(map(len, shown.splitlines())) <= int(columns)
    for word in (name, "12,345", "succeeded", "(billed),", "canceled", "2024-08-20", "creation"):
        assert word in shown.split()


def test_status_names_the_workspace_if_the_response_does_and_json_stays_the_apis_own_object(run: Run) -> None:
    for said in (True, False):
        with Sandbox(account=Account(), workspace_header=said) as sandbox:
            batch = sandbox.account.add(requests=5)
            there = {"ANTHROPIC_BASE_URL": sandbox.url, "ANTHROPIC_API_KEY": "any"}
            assert ("  workspace wrkspc_default\n" in run("status", batch, **there).stdout) == said
            assert "workspace" not in run("status", batch, "--json", **there).stdout


def test_at_a_terminal_the_url_of_the_results_can_be_copied(sandbox: Sandbox) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    screen = Terminal(80, "status", ended)
    assert screen.end() == 0
    (line,) = (number for number, line in enumerate(screen.lines) if line.startswith("  results   http"))
    assert (screen.lines[line] + screen.lines[line + 1]).endswith(f"/{ended}/results")
