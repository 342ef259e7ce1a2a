"""`history`: who stopped what, through what, and why."""

import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anthropic
import httpx2
import pytest

from cancel_message_batch import ConfigurationError, MessageBatches
from cancel_message_batch.api.client import client_over
from cancel_message_batch.api.credentials import connect
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.record.store import Action, open_record
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from cancel_message_batch.tools import CANCEL
from tests.cli.test_terminal import Terminal
from tests.conftest import KEY, PROGRAM, Run, cancels, live_in, running


def noted(message_batch_id: str | None = None) -> list[Action]:
    return open_record(print).history(message_batch_id)


def test_a_cancel_is_recorded_with_its_reason_and_response(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, "--reason", "wrong prompt").returncode == 0
    run("name", EXAMPLE_ID, "nightly eval")
    done = run("history", EXAMPLE_ID)
    assert done.returncode == 0
    head, named, *rest = done.stdout.splitlines()
    assert head.split() == ["WHEN", "WHAT", "ID", "THROUGH,", "CONSENT"]
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d UTC name   {EXAMPLE_ID} command line", named)
    name, canceled, *said = rest
    assert name == '    "nightly eval"'
    assert canceled.endswith(f" cancel {EXAMPLE_ID} command line, named")
    assert said == ['    named "nightly eval"', '    "wrong prompt"', f"    answer: canceling, from {sandbox.url}"]


def test_the_newest_actions_of_a_time_are_shown_and_a_terminal_has_room_for_the_zone(
    sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_in(monkeypatch, "America/New_York")
    assert run(EXAMPLE_ID).returncode == 0
    run("name", EXAMPLE_ID, "nightly eval")
    newest = json.loads(run("history", "--json", "--limit", "1").stdout)
    assert newest["what"] == "name"
    assert len(run("history", "--json", "--limit", "0", "--since", "1h").stdout.splitlines()) == 2
    assert run("history", "--since", "0").stderr == (
        "Nothing about any message batch is recorded on this machine for that time.\n"
    )
    assert run("history", "--since", "90").returncode == 2
    screen = Terminal(80, "history")
    assert screen.end() == 0
    assert re.fullmatch(rf"\d\d-\d\d \d\d:\d\d E[SD]T cancel {EXAMPLE_ID} command line, named", screen.lines[3])


def test_as_json_each_action_is_one_object_of_plain_characters(sandbox: Sandbox, run: Run) -> None:
    run(EXAMPLE_ID, "--reason", "falscher Prompt – \x7f日本")
    (line,) = run("history", "--json").stdout.splitlines()
    assert line.isascii()
    assert "\x7f" not in line
    entry = json.loads(line)
    assert entry.pop("at").endswith("+00:00")
    assert entry == {
        "message_batch_id": EXAMPLE_ID,
        "name": None,
        "what": "cancel",
        "through": "command line",
        "consent": "named",
        "words": "falscher Prompt – 日本",
        "answer": "canceling",
        "origin": sandbox.url,
        "workspace": "wrkspc_default",
    }


@pytest.mark.parametrize("columns", [40, 80])
def test_the_history_fits_the_terminal(run: Run, columns: int) -> None:
    words = "please cancel the nightly evaluation, its prompt is wrong and it costs too much to let it run on"
    open_record(print).add_action(
        Action(EXAMPLE_ID, "ask", "cancel", "--may-cancel", words, "the API answered 404 not_found_error: no"),
    )
    run("name", EXAMPLE_ID, "nightly eval")
    screen = Terminal(columns, "history")
    assert screen.end() == 0
    assert EXAMPLE_ID in screen.text
    assert " ".join(screen.text.split()).count("it costs too much to let it run on") == 1
    assert "ask, --may-cancel" in screen.text


def test_an_empty_history_says_so_and_exits_0(run: Run) -> None:
    done = run("history")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Nothing about any message batch is recorded on this machine yet.\n"
    assert EXAMPLE_ID in run("history", EXAMPLE_ID).stderr
    assert run("history", "nightly").returncode == 2


def test_many_cancels_are_recorded_with_their_responses(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 3)
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    assert run(*ids, ended, "msgbatch_unknown").returncode == 4
    answers = {entry.message_batch_id: str(entry.answer) for entry in noted()}
    assert answers.pop("msgbatch_unknown", "").startswith("the API answered 404 not_found_error")
    assert answers == {**dict.fromkeys(ids, "canceling"), ended: "already ended"}
    assert {entry.consent for entry in noted()} == {"named"}


def test_a_cancel_with_all_and_yes_is_recorded_as_such(sandbox: Sandbox, run: Run) -> None:
    assert run("--all", "--yes", "--reason", "end of the month").returncode == 0
    assert {(entry.consent, entry.words) for entry in noted()} == {("--yes", "end of the month")}
    assert sorted(entry.message_batch_id for entry in noted()) == sorted(cancels(sandbox))


def test_a_cancel_that_was_not_sent_is_not_recorded(sandbox: Sandbox, run: Run) -> None:
    run(EXAMPLE_ID, "--dry-run")
    run(EXAMPLE_ID, ANTHROPIC_API_KEY="", ANTHROPIC_BASE_URL="https://api.invalid")
    run("ask", "cancel my newest batch")
    run("status", EXAMPLE_ID)
    assert noted() == []


def test_a_reason_needs_a_cancel(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, "--reason", "x", "--dry-run").returncode == 2
    off = run(EXAMPLE_ID, "--reason", "x", CANCEL_MESSAGE_BATCH_RECORD="off")
    assert off.returncode == 0
    assert "The record is turned off, so the reason is not kept." in off.stderr
    assert run(EXAMPLE_ID, CANCEL_MESSAGE_BATCH_RECORD="off").stderr == ""


def test_ask_notes_what_the_person_said_and_how_they_agreed(sandbox: Sandbox, run: Run) -> None:
    newest = running(sandbox, 1, age=1)[0]
    run("ask", f"Cancel {EXAMPLE_ID}.")
    run("ask", "cancel my newest batch", "--may-cancel", newest)
    run("chat", stdin=f"hello\nCancel {EXAMPLE_ID}\n")
    assert [(entry.through, entry.consent, entry.words) for entry in noted()] == [
        ("chat", "named", f"Cancel {EXAMPLE_ID}"),
        ("ask", "--may-cancel", "cancel my newest batch"),
        ("ask", "named", f"Cancel {EXAMPLE_ID}."),
    ]


def test_a_yes_at_the_terminal_is_recorded(sandbox: Sandbox) -> None:
    newest = running(sandbox, 1, age=1)[0]
    screen = Terminal(80, "ask", "cancel my newest batch")
    screen.until("[y/N]")
    screen.type("y\r")
    assert screen.end() == 0
    (entry,) = noted(newest)
    assert (entry.through, entry.consent, entry.words) == ("ask", "yes", "cancel my newest batch")


@pytest.mark.parametrize("command", [[EXAMPLE_ID], ["ask", f"Cancel {EXAMPLE_ID}."], ["--all", "--yes"]])
def test_a_record_that_cannot_be_used_costs_a_line_and_never_the_cancel(
    sandbox: Sandbox, run: Run, tmp_path: Path, command: list[str]
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("not a database" * 100)
    done = run(*command, CANCEL_MESSAGE_BATCH_RECORD=str(broken))
    assert done.returncode == 0
    assert EXAMPLE_ID in cancels(sandbox)
    assert done.stderr.count("cannot be used") == 1
    assert "Traceback" not in done.stderr


def test_a_locked_record_costs_a_line_after_the_answer(
    sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("name", EXAMPLE_ID, "mine")
    path = open_record(print).path
    assert path
    monkeypatch.setattr("cancel_message_batch.record.store._PATIENCE", 0.05)
    with closing(sqlite3.connect(path)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        done = run(EXAMPLE_ID)
    assert done.returncode == 0
    assert "accepted but not immediate" in done.stdout
    assert "locked" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("others", [[], ["msgbatch_other"]])
def test_an_interrupted_cancel_is_recorded_as_unanswered(sandbox: Sandbox, others: list[str]) -> None:
    sandbox.fail(Fault(match="POST */cancel", times=0, hang=True))
    command = [*PROGRAM, EXAMPLE_ID, *others]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while len(cancels(sandbox)) <= len(others) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert {entry.message_batch_id for entry in noted()} == {EXAMPLE_ID, *others}
    assert {entry.answer for entry in noted()} == {"interrupted before the response came"}


def test_a_404_says_where_the_record_knows_the_batch_from(sandbox: Sandbox, run: Run) -> None:
    run(EXAMPLE_ID)
    with Sandbox(account=Account()) as other:
        for command in ([EXAMPLE_ID], ["status", EXAMPLE_ID], [EXAMPLE_ID, "msgbatch_other"]):
            done = run(*command, ANTHROPIC_BASE_URL=other.url)
            assert done.returncode == 1
            said = (
                f"In this machine's record, {EXAMPLE_ID} belongs to another base URL, {sandbox.url}: look for it there."
            )
            assert said in done.stderr
            assert "msgbatch_other belongs" not in done.stderr


def test_a_404_says_from_which_workspace_the_record_knows_the_batch(sandbox: Sandbox, run: Run) -> None:
    origin = sandbox.url
    open_record(print).add_action(
        Action("msgbatch_theirs", "guard", "cancel", origin=origin, workspace="wrkspc_theirs"),
    )
    done = run("msgbatch_theirs")
    assert "In this machine's record, msgbatch_theirs belongs to the workspace wrkspc_theirs:" in done.stderr
    same = run("msgbatch_theirs", "--workspace-id", "wrkspc_theirs")
    assert same.returncode == 1
    assert "In this machine's record" not in same.stderr
    assert KEY not in done.stderr


class LostCredential(httpx2.Auth):
    """A credential that is good for one request and then cannot be renewed."""

    requests = 0

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        self.requests += 1
        if self.requests > 1:
            raise anthropic.AnthropicError("the token could not be renewed")
        yield request


def test_a_cancel_whose_response_was_lost_is_reported_and_recorded_as_sent_even_if_the_credential_then_fails(
    sandbox: Sandbox,
) -> None:
    sandbox.fail(Fault(match="cancel", drop=True, after=True))
    connection = replace(connect(api_key=KEY, base_url=sandbox.url), auth=LostCredential())
    with client_over(MessageBatches, connection) as batches:
        outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, batches)
    assert isinstance(outcome.error, ConfigurationError)
    assert "could not renew the credential: the token could not be renewed." in outcome.text
    assert "it may have been" in outcome.text
    assert "Nothing was sent" not in outcome.text
    assert cancels(sandbox) == [EXAMPLE_ID]
    CANCEL.run({"message_batch_id": "5"})
    assert [action.message_batch_id for action in noted()] == [EXAMPLE_ID]
