"""`cancel`: by id, by standard input, and all that are in progress."""

import json

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import Run, cancels, running


def test_an_id_is_canceled_and_the_text_is_truthful(sandbox: Sandbox, run: Run) -> None:
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


def test_the_output_of_list_json_and_a_list_with_comments_are_read_from_standard_input(
    sandbox: Sandbox, run: Run
) -> None:
    (other,) = running(sandbox, 1, age=20 * 3600)
    listed = run("list", "--json", "--status", "in_progress", "--limit", "2").stdout
    assert run("-", stdin=f"# the newest\n\n{listed}  {other}  # and this\n").returncode == 0
    assert sorted(cancels(sandbox)) == sorted([*(json.loads(line)["id"] for line in listed.splitlines()), other])


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "ID  STATUS",
        "{",
        '{"ok": true}',
        '{"id": 3}',
        '["msgbatch_a"]',
        '{"id": "msgbatch_a b"}',
        "[" * 99_999,
    ],
)
def test_one_line_of_standard_input_that_is_not_an_id_refuses_the_whole_call(
    sandbox: Sandbox, run: Run, line: str
) -> None:
    done = run("-", stdin=f"{EXAMPLE_ID}\n\n{line}\n{EXAMPLE_ID}\n")
    assert done.returncode == 2
    assert "line 3 of standard input: " in done.stderr
    assert len(done.stderr) < 400
    assert sandbox.journal == []


def test_the_billing_of_many_cancels_is_explained_once(sandbox: Sandbox, run: Run) -> None:
    done = run(*running(sandbox, 3))
    assert (done.stdout + done.stderr).count("are billed") == 1


def test_an_ended_an_unknown_and_a_running_batch_in_one_call_are_each_reported(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    (active,) = running(sandbox, 1)
    done = run(ended, "msgbatch_unknown", active)
    assert done.returncode == 4
    assert f"message batch {ended} had already ended" in done.stdout
    assert f"{active} canceling" in done.stdout.splitlines()
    assert "may still complete and are billed" in done.stderr
    assert "There is no message batch msgbatch_unknown" in done.stderr


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
    assert "there is no terminal to ask in. --dry-run shows what it would stop" in done.stderr
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
    assert f"this would cancel message batch {EXAMPLE_ID}, 100 requests." in done.stderr
    assert cancels(sandbox) == []


def test_a_dry_run_sums_up_only_what_a_cancel_would_stop(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    done = run(*running(sandbox, 2), ended, "--dry-run")
    assert "this would cancel 2 message batches, 10,000 requests." in done.stderr
    assert "this would cancel nothing." in run(ended, "--dry-run").stderr
    assert cancels(sandbox) == []


def test_a_request_that_was_not_repeated_is_not_said_to_have_been(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="cancel", status=429))
    assert "retries" not in run(EXAMPLE_ID, "--max-retries", "0").stderr
