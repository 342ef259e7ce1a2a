"""The command line, run as a script would run it: a process of its own, no terminal."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch import summary
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.batches.many import CONCURRENCY
from cancel_message_batch.cli.main import main
from cancel_message_batch.cli.registry import COMMANDS
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import ROOT, Run, cancels


def running(sandbox: Sandbox, count: int, *, age: float = 600) -> list[str]:
    return [sandbox.account.add(requests=5_000, age=age + n, status="in_progress") for n in range(count)]


def described(name: str, status: str = "in_progress", **others: Any) -> dict[str, Any]:
    """A batch as an API may answer it, of which the account knows nothing."""
    now = datetime.now(UTC)
    times = {"created_at": now.isoformat(), "expires_at": (now + timedelta(days=1)).isoformat()}
    return {"id": name, "processing_status": status, "request_counts": {"processing": 3}, **times, **others}


def test_an_id_is_canceled_and_the_truth_is_told(sandbox: Sandbox, run: Run) -> None:
    done = run(EXAMPLE_ID)
    assert done.returncode == 0
    assert "accepted but not immediate" in done.stdout
    assert done.stderr == ""
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert run("cancel", EXAMPLE_ID).returncode == 0


def test_the_same_id_twice_is_sent_once(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, f" {EXAMPLE_ID} ").returncode == 0
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_ids_are_read_from_standard_input(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 3)
    done = run("-", "--json", stdin=f"{ids[0]}\n{ids[1]}, {ids[2]}\n\n")
    assert done.returncode == 0
    assert sorted(json.loads(line)["id"] for line in done.stdout.splitlines()) == sorted(ids)
    assert sorted(cancels(sandbox)) == sorted(ids)


def test_a_file_of_windows_holds_ids_too(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 2)
    assert run("-", stdin=f"\ufeff{ids[0]}\r\n{ids[1]}\r\n").returncode == 0
    assert sorted(cancels(sandbox)) == sorted(ids)


def test_flags_may_stand_between_ids(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 3)
    done = run(ids[0], "--json", ids[1], "--timeout", "9s", ids[2])
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert sorted(cancels(sandbox)) == sorted(ids)
    assert run("wait", ids[0], "--timeout", "50s", ids[1]).returncode == 0


def test_an_ended_an_unknown_and_a_running_batch_in_one_call_are_each_told(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    (active,) = running(sandbox, 1)
    done = run(ended, "msgbatch_unknown", active)
    assert done.returncode == 4
    assert f"message batch {ended} had already ended" in done.stdout
    assert f"{active} canceling" in done.stdout.splitlines()
    assert "may still complete and are billed" in done.stderr
    assert "There is no message batch msgbatch_unknown" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((EXAMPLE_ID,), 0),
        (("msgbatch_unknown",), 1),
        (("nonsense",), 2),
        (("ENDED",), 3),
        ((EXAMPLE_ID, "x"), 4),
        ((EXAMPLE_ID, "ENDED"), 4),
        (("msgbatch_unknown", "nonsense"), 1),
        (("msgbatch_unknown", "ENDED"), 1),
        (("nonsense", "ENDED"), 2),
        (("status", "msgbatch_unknown", "nonsense"), 1),
        (("status", "msgbatch_unknown", "ENDED"), 4),
        (("wait", "msgbatch_unknown", "nonsense"), 1),
    ],
)
def test_exit_codes_say_how_it_went(sandbox: Sandbox, run: Run, arguments: tuple[str, ...], code: int) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    assert run(*(ended if word == "ENDED" else word for word in arguments)).returncode == code


def test_all_means_every_batch_in_progress_and_nothing_else(sandbox: Sandbox, run: Run) -> None:
    before = [json.loads(line) for line in run("list", "--json", "--limit", "0").stdout.splitlines()]
    active = {batch["id"] for batch in before if batch["processing_status"] == "in_progress"}
    assert run("--all", "--yes").returncode == 0
    assert set(cancels(sandbox)) >= active - {EXAMPLE_ID}
    assert set(cancels(sandbox)) <= active
    assert len(cancels(sandbox)) == len(set(cancels(sandbox)))


def test_all_is_narrowed_by_age_and_size(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    with Sandbox(account=Account()) as sandbox:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        new = sandbox.account.add(requests=90_000, age=60, status="in_progress")
        old = sandbox.account.add(requests=90_000, age=3 * 3600, status="in_progress")
        small = sandbox.account.add(requests=900, age=60, status="in_progress")

        def chosen(*arguments: str) -> set[str]:
            done = run("--all", "--dry-run", "--json", *arguments)
            assert done.returncode == 0
            return {json.loads(line)["id"] for line in done.stdout.splitlines()} - {EXAMPLE_ID}

        assert chosen("--older-than", "2h") == {old}
        assert chosen("--newer-than", "10m") == {new, small}
        assert chosen("--at-least", "1000") == {new, old}
        assert chosen("--newer-than", "10m", "--at-least", "1000") == {new}
        assert cancels(sandbox) == []


def test_all_without_a_terminal_or_yes_is_refused_before_anything_is_sent(sandbox: Sandbox, run: Run) -> None:
    done = run("--all")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert sandbox.journal == []


def test_without_an_id_and_without_a_terminal_the_error_names_list(sandbox: Sandbox, run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "list --status in_progress" in done.stderr
    assert sandbox.journal == []


def test_a_dry_run_with_ids_shows_them_and_sends_no_cancel(sandbox: Sandbox, run: Run) -> None:
    done = run(EXAMPLE_ID, "--dry-run")
    assert done.returncode == 0
    assert EXAMPLE_ID in done.stdout
    assert cancels(sandbox) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--al",), "did you mean --all?"),
        (("list", "--limt", "3"), "did you mean --limit?"),
        (("--all", "--yes", "--older-than", "yesterday"), "90s, 30m, 2h or 1d"),
        (("--all", "--yes", "--older-than", "-5m"), "--older-than"),
        (("--all", "--yes", "--at-least", "-1"), "--at-least"),
        (("list", "--limit", "-1"), "--limit"),
        (("list", "--status", "running"), "in_progress"),
        (("-",), "no id on standard input"),
        ((EXAMPLE_ID, "--all", "--yes"), "not both"),
        ((EXAMPLE_ID, "--older-than", "1h"), "go with --all"),
        ((EXAMPLE_ID, "--older-than", "0s"), "go with --all"),
        ((EXAMPLE_ID, "--at-least", "0"), "go with --all"),
        ((EXAMPLE_ID, "--timeout", "0"), "no time for a request"),
        (("--json", "list"), "put the command first"),
        (("--json", "list", "--status", "in_progress"), "put the command first: cancel-message-batch list"),
        (("--status", "in_progress", "list"), "put the command first: cancel-message-batch list"),
        ((EXAMPLE_ID, "--json", "--wat", EXAMPLE_ID), "did you mean --wait?"),
        ((EXAMPLE_ID, "--timeout", "999999999d999999999d"), "too long"),
        (("sandbox", "--port", "65536"), "65535"),
        (("mcp", "--http", "70000"), "65535"),
        (("sandbox", "--speed", "0"), "above 0"),
        (("wait",), "ID"),
        (("ask", " "), "say something"),
    ],
)
def test_wrong_usage_says_what_is_wrong_and_sends_nothing(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...], told: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""
    assert sandbox.journal == []


def test_a_thousand_batches_are_each_canceled_once_though_every_tenth_request_is_refused(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    with Sandbox(account=Account(), limit_every=10) as sandbox:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        ids = [sandbox.account.add(requests=1_000, age=60, status="in_progress") for _ in range(150)]
        done = run("-", stdin="\n".join(ids))
        assert done.returncode == 0
        accepted = [e.path.split("/")[-2] for e in sandbox.journal if e.path.endswith("/cancel") and e.status == 200]
        assert sorted(accepted) == sorted(ids)
        assert sum(exchange.status == 429 for exchange in sandbox.journal) >= 15
        assert len(done.stdout.splitlines()) == len(ids)
        assert "150 canceling" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [(("--max-retries", "0"), {"retry-after-ms": "1"}), ((), {"retry-after": "1", "x-should-retry": "false"})],
    ids=["max-retries", "x-should-retry"],
)
def test_many_cancels_are_not_repeated_against_the_word_of_anybody(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...], headers: dict[str, str]
) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers=headers))
    ids = running(sandbox, 3)
    assert run(*ids, *arguments).returncode == 1
    assert sorted(cancels(sandbox)) == sorted(ids)


def test_many_cancels_do_not_flood_an_api_that_asks_for_next_to_no_pause(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after-ms": "1"}))
    assert run(*running(sandbox, 2), "--timeout", "4s", "--max-retries", "1").returncode == 1
    assert len(cancels(sandbox)) <= 2 * 2 * 4


def test_a_batch_that_stands_on_two_pages_is_canceled_once(sandbox: Sandbox, run: Run) -> None:
    new, old = running(sandbox, 2)
    for page in ([new, old], [old]):
        cursor = {"has_more": len(page) == 2, "last_id": page[-1]}
        sandbox.fail(Fault(match="GET", body={"data": [described(name) for name in page], **cursor}))
    assert run("--all", "--yes").returncode == 0
    assert sorted(cancels(sandbox)) == sorted([new, old])


def test_what_nobody_expects_of_one_batch_leaves_the_others_canceled_and_told(
    sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = summary.cancel_result

    def broken(batch: Any, took: float = 0.0) -> Any:
        return 1 / 0 if batch.id == ids[0] else real(batch, took)

    ids = running(sandbox, 3)
    monkeypatch.setattr(summary, "cancel_result", broken)
    assert main(ids) == 4
    told = capsys.readouterr()
    assert sorted(told.out.split("\n")) == ["", *sorted(f"{name} canceling" for name in ids[1:])]
    assert "ZeroDivisionError" in told.err
    assert f"Whether the cancellation of {ids[0]} was accepted is unknown" in told.err
    assert "2 canceling" in told.err


def test_wait_ends_when_the_batches_have_ended_with_their_counts_and_results(sandbox: Sandbox, run: Run) -> None:
    (active,) = running(sandbox, 1)
    done = run(active, "--wait", "--timeout", "50s")
    assert done.returncode == 0
    assert "Final counts: " in done.stdout
    assert "results" in done.stdout
    assert run("wait", active).returncode == 0


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


def test_waiting_for_an_unknown_batch_fails_and_the_others_are_waited_for(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    done = run("wait", ended, "msgbatch_unknown")
    assert done.returncode == 4
    assert "Final counts" in done.stdout
    assert "There is no message batch" in done.stderr


def test_waiting_ends_in_time_also_when_nothing_answers(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="GET", times=0, hang=True))
    began = time.monotonic()
    late = run("wait", EXAMPLE_ID, "--timeout", "2s")
    assert late.returncode == 5
    assert time.monotonic() - began < 10
    assert (
        f"status unknown (last: the API at {sandbox.url.rpartition('/')[2]} did not answer in time): {EXAMPLE_ID}"
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
def test_a_batch_in_trouble_does_not_keep_the_others_from_being_told(
    sandbox: Sandbox, run: Run, trouble: Fault
) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    sandbox.fail(replace(trouble, match=EXAMPLE_ID))
    done = run("wait", EXAMPLE_ID, ended, "--timeout", "3s", "--max-retries", "0")
    assert done.returncode == 5
    assert f"Message batch {ended} (5 requests) has ended" in done.stdout
    assert f"): {EXAMPLE_ID}." in done.stderr
    assert done.stderr.count("trying again: ") == 1


def test_an_interrupted_wait_tells_the_batches_that_have_ended(sandbox: Sandbox) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    command = [sys.executable, "-m", "cancel_message_batch", "wait", EXAMPLE_ID, ended]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline() == f"{EXAMPLE_ID} in_progress\n"
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"Message batch {ended} (5 requests) has ended" in told
    assert f"Interrupted; not ended yet: {EXAMPLE_ID}." in errors


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
    assert done.stderr.count("Check the base URL") == 1
    assert len(sandbox.journal) == 3


def test_what_a_wait_shows_is_fit_for_a_terminal(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="GET", body=described("msgbatch_\x1b]0;x", "ended\x07", type="message_batch")))
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", run("wait", EXAMPLE_ID, "--timeout", "0").stderr)


def test_list_fits_eighty_columns_and_never_cuts_an_id(sandbox: Sandbox, run: Run) -> None:
    done = run("list")
    assert done.returncode == 0
    assert EXAMPLE_ID in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    narrow = run("list", COLUMNS="40")
    assert EXAMPLE_ID in narrow.stdout
    assert max(map(len, narrow.stdout.splitlines())) <= 40


def test_colour_only_where_it_is_wanted(sandbox: Sandbox, run: Run) -> None:
    assert "\x1b" not in run("list", NO_COLOR="").stdout
    assert "\x1b" in run("list", NO_COLOR="", FORCE_COLOR="1").stdout
    assert "\x1b" not in run("list", NO_COLOR="1", FORCE_COLOR="1").stdout


def test_json_is_the_apis_own_object_and_nothing_else(sandbox: Sandbox, run: Run) -> None:
    for arguments in ((EXAMPLE_ID,), ("status", EXAMPLE_ID), ("list", "--limit", "1")):
        done = run(*arguments, "--json")
        (line,) = done.stdout.splitlines()
        assert {"id", "type", "results_url", "archived_at", "request_counts"} <= set(json.loads(line))


def test_quiet_prints_ids_for_list_and_only_errors_for_cancel(sandbox: Sandbox, run: Run) -> None:
    assert EXAMPLE_ID in run("list", "--quiet").stdout.splitlines()
    done = run(EXAMPLE_ID, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert run("msgbatch_unknown", "--quiet").stderr


def test_status_tells_each_batch(sandbox: Sandbox, run: Run) -> None:
    done = run("status", EXAMPLE_ID, "msgbatch_unknown")
    assert done.returncode == 4
    assert "is in_progress" in done.stdout
    assert "There is no message batch" in done.stderr


def test_without_a_key_one_sentence_says_what_to_set(run: Run) -> None:
    done = run(EXAMPLE_ID)
    assert done.returncode == 2
    assert "set ANTHROPIC_API_KEY" in done.stderr
    assert "make demo" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_base_url_a_page_and_nobody_there_are_told_in_words(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, "--base-url", "nonsense").returncode == 2
    sandbox.fail(Fault(match="cancel", status=200, body="<html>hi</html>", content_type="text/html"))
    page = run(EXAMPLE_ID)
    assert page.returncode == 1
    assert "text/html" in page.stderr
    assert "<html>" not in page.stderr
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = run(EXAMPLE_ID, "--base-url", f"http://127.0.0.1:{unused.getsockname()[1]}", "--max-retries", "0")
    assert gone.returncode == 1
    assert "cannot be reached" in gone.stderr
    for done in (page, gone):
        assert "Traceback" not in done.stderr


def test_no_answer_ends_by_the_timeout_with_the_outcome_said_to_be_unknown(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    done = run(EXAMPLE_ID, "--timeout", "1s")
    assert done.returncode == 1
    assert "it may have been" in done.stderr


def test_the_workspace_and_retry_flags_are_honoured(sandbox: Sandbox, run: Run) -> None:
    assert run(EXAMPLE_ID, "--workspace-id", "wrkspc_elsewhere").returncode == 1
    assert sandbox.journal[-1].headers["anthropic-workspace-id"] == "wrkspc_elsewhere"
    sandbox.fail(Fault(match="cancel", times=1, status=500))
    assert run(EXAMPLE_ID, "--max-retries", "0").returncode == 1


def test_a_reader_that_goes_away_ends_the_output_quietly(sandbox: Sandbox) -> None:
    for command in ("list", "list --json", "--help", f"{EXAMPLE_ID} --json"):
        piped = f"{sys.executable} -m cancel_message_batch {command} | true"
        done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == "", command


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", ">/dev/full", "2>/dev/full", "<&- >&- 2>&-"])
def test_closed_and_full_streams_stop_no_work(sandbox: Sandbox, streams: str) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    ids = running(sandbox, 2)
    for command, code in (
        (f"{ids[0]}", 0),
        (" ".join([*ids, ended]), 4),
        (f"wait {ended} {EXAMPLE_ID} --timeout 0", 5),
        ("list", 0),
        ("completion bash", 0),
        ("--help", 0),
        ("list --nonsense", 2),
        ("-", 2),
    ):
        redirected = f"{sys.executable} -m cancel_message_batch {command} {streams}"
        done = subprocess.run(
            ["bash", "-c", redirected],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, command
        assert "Traceback" not in done.stderr, command
        assert "Exception" not in done.stderr, command
    assert sorted(set(cancels(sandbox))) == sorted([*ids, ended])
    if streams == ">/dev/full":
        assert (
            "No space left"
            in subprocess.run(
                ["bash", "-c", f"{sys.executable} -m cancel_message_batch list >/dev/full"],
                capture_output=True,
                text=True,
                check=True,
            ).stderr
        )


def test_an_interruption_tells_what_was_sent_and_what_was_not(sandbox: Sandbox) -> None:
    ids = running(sandbox, 150)
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    command = [sys.executable, "-m", "cancel_message_batch", *ids]
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
def test_an_interruption_at_any_moment_is_no_traceback(sandbox: Sandbox, arguments: list[str]) -> None:
    sandbox.fail(Fault(match="batches", times=0, hang=True))
    command = [sys.executable, "-m", "cancel_message_batch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not sandbox.journal and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors


def test_ask_cancels_a_named_batch_with_exactly_one_post(sandbox: Sandbox, run: Run) -> None:
    done = run("ask", f"Cancel the message batch with ID {EXAMPLE_ID}.")
    assert done.returncode == 0
    assert "canceling" in done.stdout
    assert "not immediate" in done.stdout
    assert f"→ cancel_message_batch({EXAMPLE_ID})" in done.stderr
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_ask_without_a_terminal_cancels_nothing_that_was_not_named(sandbox: Sandbox, run: Run) -> None:
    done = run("ask", "cancel my newest batch")
    assert done.returncode == 0
    assert "Not canceled" in done.stderr
    assert cancels(sandbox) == []


def test_ask_tells_a_refused_key_in_words(sandbox: Sandbox, run: Run) -> None:
    done = run("ask", "what is running?", ANTHROPIC_API_KEY="invalid")
    assert done.returncode == 1
    assert "Check the API key" in done.stderr
    assert "Traceback" not in done.stderr


def test_chat_takes_a_turn_for_each_line_that_is_piped_in(sandbox: Sandbox, run: Run) -> None:
    done = run("chat", stdin=f"Cancel {EXAMPLE_ID}\nis it stopped yet?\n")
    assert done.returncode == 0
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert "get_message_batch" in done.stderr


def test_the_model_comes_from_the_flag_or_the_environment(sandbox: Sandbox, run: Run) -> None:
    def model() -> Any:
        return next(e.body["model"] for e in reversed(sandbox.journal) if e.path.endswith("/messages"))

    run("ask", "hello", "--model", "claude-flag", ANTHROPIC_MODEL="claude-environment")
    assert model() == "claude-flag"
    run("ask", "hello", ANTHROPIC_MODEL="claude-environment")
    assert model() == "claude-environment"


def test_doctor_names_what_is_in_force_and_never_the_key(sandbox: Sandbox, run: Run) -> None:
    done = run("doctor", ANTHROPIC_API_KEY="a-long-enough-key-1234")
    assert done.returncode == 0
    assert "API key …1234 from ANTHROPIC_API_KEY" in done.stdout
    assert f"{sandbox.url}/v1 (from ANTHROPIC_BASE_URL)" in done.stdout
    assert "a-long" not in done.stdout + done.stderr
    for operation in ("List", "Retrieve", "Cancel"):
        assert f"{operation}: allowed" in done.stdout
    refused = run("doctor", ANTHROPIC_API_KEY="forbidden")
    assert refused.returncode == 1
    assert "may not list" in refused.stdout


def test_doctor_shows_no_password_of_the_base_url(sandbox: Sandbox, run: Run) -> None:
    place = sandbox.url.rpartition("/")[2]
    done = run("doctor", ANTHROPIC_BASE_URL=f"http://bob:s3cr@t@{place}")
    assert done.returncode == 0
    assert f"Base URL: http://…@{place}/v1" in done.stdout
    assert "s3cr" not in done.stdout + done.stderr


def test_doctor_tells_a_page_and_a_refusal_for_what_they_are(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="msgbatch_doctor", times=2, status=404, body="<html>", content_type="text/html"))
    done = run("doctor")
    assert done.returncode == 1
    for operation in ("Retrieve", "Cancel"):
        assert f"✗ {operation}: the API answered 404" in done.stdout
    sandbox.fail(Fault(match="cancel", status=403))
    refused = run("doctor")
    assert "Retrieve: allowed" in refused.stdout
    assert "Cancel: The credential may not cancel" in refused.stdout


def test_doctor_tells_machines_and_plain_streams_too(sandbox: Sandbox, run: Run) -> None:
    findings = [json.loads(line) for line in run("doctor", "--json").stdout.splitlines()]
    assert all(finding["ok"] for finding in findings)
    assert findings[-1] == {"ok": True, "finding": "Cancel: allowed"}
    assert "ok Cancel: allowed" in run("doctor", PYTHONIOENCODING="ascii").stdout
    assert "FAILED List" in run("doctor", PYTHONIOENCODING="ascii", ANTHROPIC_API_KEY="forbidden").stdout
    sandbox.fail(Fault(match="GET", body={"data": [described("msgbatch_\x1b]0;x", "\x07")], "has_more": False}))
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", run("doctor").stdout)


def test_a_request_that_was_not_repeated_is_not_told_to_have_been(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="cancel", status=429))
    assert "retries" not in run(EXAMPLE_ID, "--max-retries", "0").stderr


def test_the_sandbox_says_where_it_is_and_a_port_in_use_is_told(run: Run) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        done = run("sandbox", "--port", str(used.getsockname()[1]))
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    command = [sys.executable, "-m", "cancel_message_batch", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.readline()
        assert re.search(r"http://(127\.0\.0\.1|localhost):\d+", printed)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in {0, 130}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help_with_examples(run: Run, command: str) -> None:
    done = run(*([command] if command else []), "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_help_and_version_import_neither_httpx2_nor_pydantic() -> None:
    for argument in ("--help", "--version"):
        command = [sys.executable, "-X", "importtime", "-m", "cancel_message_batch", argument]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
        assert not re.search(r"\b(httpx2|pydantic|anthropic|anyio|rich)\b", done.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_flag(run: Run, shell: str) -> None:
    script = run("completion", shell).stdout
    for word in (*COMMANDS, "older-than", "dry-run"):
        assert word in script


_COMPLETES = {
    "bash": (
        'eval "$(cancel-message-batch completion bash)"\n'
        "COMP_WORDS=(cancel-message-batch {0}); COMP_CWORD={1}\n"
        "_cancel_message_batch; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    ),
    # zsh completes in an editor only: it gets one, on a terminal of its own, and lists what it would offer.
    "zsh": (
        "zmodload zsh/zpty; zpty z zsh -f -i\n"
        'zpty -w z \'PS1=; eval "$(cancel-message-batch completion zsh)"; compadd() {{ builtin compadd -O got "$@";'
        ' print -l -- "$got[@]" >> offered; builtin compadd "$@" }}; touch ready\'\n'
        "for n in {{1..300}}; do [[ -e ready ]] && break; sleep 0.1; done\n"
        "zpty -w -n z $'cancel-message-batch {0}\\t'\n"
        "for n in {{1..100}}; do [[ -s offered ]] && break; sleep 0.1; done; zpty -d z; cat offered"
    ),
    "fish": 'cancel-message-batch completion fish | source; complete -C "cancel-message-batch {0}"',
}


def complete(shell: str, typed: str, where: Path) -> list[str]:
    """What a shell offers after what is typed."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed on this machine")
    script = _COMPLETES[shell].format(typed, len(typed.split(" ")))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *(["-f"] if shell == "zsh" else []), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=where,
        env={**os.environ, "PATH": path},
    )
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", _COMPLETES)
def test_a_shell_completes_commands_flags_and_the_ids_of_running_batches(
    sandbox: Sandbox, tmp_path: Path, shell: str
) -> None:
    (active,) = running(sandbox, 1)
    assert active in complete(shell, "status msgb", tmp_path)
    if shell != "zsh":  # which takes seconds for each
        assert "--dry-run" in complete(shell, f"{active} --d", tmp_path)
        assert "doctor" in complete(shell, "doc", tmp_path)
        assert complete(shell, "completion z", tmp_path) == ["zsh"]


@pytest.mark.parametrize("shell", _COMPLETES)
def test_completion_never_runs_what_the_api_answers(sandbox: Sandbox, tmp_path: Path, shell: str) -> None:
    (active,) = running(sandbox, 1)
    batch = described(active)
    evil = [
        batch | {"id": name} for name in ("msgbatch_$(touch$IFS''PWNED)x", "msgbatch_`touch PWNED`", "msgbatch_a b")
    ]
    sandbox.fail(Fault(match="GET", times=0, body={"data": [*evil, batch], "has_more": False}))
    assert set(complete(shell, "status msgb", tmp_path)) == {active}
    assert not (tmp_path / "PWNED").exists()


def test_zsh_takes_the_completion_before_it_has_set_up_its_own(run: Run, tmp_path: Path) -> None:
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed on this machine")
    script = run("completion", "zsh").stdout
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_the_same_everywhere(run: Run) -> None:
    version = run("--version").stdout.split()[-1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version: "{version}"' in (ROOT / "SKILL.md").read_text()
