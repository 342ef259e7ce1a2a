"""`cancel`: by id, by standard input, and all that are in progress."""

import json
import re
import subprocess

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import PROGRAM, Run, cancels, running


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
    done = run("-", "--json", "--yes", stdin=f"{ids[0]}\n{ids[1]}, {ids[2]}\n\n")
    assert done.returncode == 0
    assert sorted(json.loads(line)["id"] for line in done.stdout.splitlines()) == sorted(ids)
    assert sorted(cancels(sandbox)) == sorted(ids)


def without_a_terminal(*arguments: str, stdin: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a session of its own, which has no terminal."""
    command = [*PROGRAM, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, start_new_session=True)


def test_one_id_on_standard_input_is_an_order_and_more_without_a_terminal_are_refused_before_anything_is_sent(
    sandbox: Sandbox,
) -> None:
    sandbox.account.speed = 1  # none of them ends while processes start
    one, other, typed = running(sandbox, 3)
    for ids in (f"{one}\n{other}\n", f"{one} {typed} {other} {one}"):
        done = without_a_terminal("-", typed, stdin=ids)
        assert (done.returncode, done.stdout) == (2, "")
        assert "2 ids on standard input need a yes, and there is no terminal to ask in" in done.stderr
        assert not re.search("--yes|-y", done.stderr)
    assert sandbox.journal == []
    assert without_a_terminal(typed, "-", stdin=f"{one}\n{typed}\n{one}").returncode == 0
    assert sorted(cancels(sandbox)) == sorted([one, typed])
    assert without_a_terminal("-", "--dry-run", stdin=f"{one} {other}").returncode == 0
    assert without_a_terminal("-", "--yes", stdin=f"{one} {other}").returncode == 0
    assert other in cancels(sandbox)


@pytest.mark.parametrize("wrong", ["msgbatch_a.b", "nightly", f"'{EXAMPLE_ID}'", f'"{EXAMPLE_ID}"', EXAMPLE_ID.upper()])
def test_of_ten_thousand_ids_on_standard_input_one_that_is_wrong_keeps_all_from_being_sent(
    sandbox: Sandbox, run: Run, wrong: str
) -> None:
    run("name", EXAMPLE_ID, "nightly")
    ids = [f"msgbatch_{number:05}" for number in range(10_000)]
    done = run("-", "--yes", stdin="\n".join([*ids[:7_654], wrong, *ids[7_654:]]))
    assert done.returncode == 2
    assert "line 7655 of standard input: " in done.stderr
    assert wrong in done.stderr
    assert len(done.stderr) < 400
    assert sandbox.journal == []


@pytest.mark.parametrize("command", [["status", "-", "--quiet"], ["-", "--dry-run", "--quiet"]])
def test_a_look_at_many_ids_reads_pages_of_the_listing_and_looks_up_only_what_is_not_there(
    sandbox: Sandbox, run: Run, command: list[str]
) -> None:
    ids = [sandbox.account.add(requests=5, age=600.0 + n, status="in_progress") for n in range(2_200)]
    done = run(*command, stdin="\n".join([*ids[::2], "msgbatch_unknown"]))
    assert done.returncode == 4
    asked = [exchange.path for exchange in sandbox.journal]
    assert [path.rpartition("/")[2] for path in asked] == ["batches"] * 3 + ["msgbatch_unknown"]
    assert "There is no message batch msgbatch_unknown" in done.stderr


def test_a_look_at_a_few_old_ids_does_not_read_a_large_workspace(sandbox: Sandbox, run: Run) -> None:
    for number in range(3_500):
        sandbox.account.add(requests=5, age=600.0 + number, status="in_progress")
    old = [sandbox.account.add(requests=5, age=20 * 3600.0 + number, status="in_progress") for number in range(40)]
    for ids, pages in ((old[:3], 0), (old, 2)):
        before = len(sandbox.journal)
        done = run("status", "--json", *ids)
        assert done.returncode == 0
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ids
        assert len(sandbox.journal) - before == len(ids) + pages


def test_what_a_listing_shows_of_many_ids_is_what_a_look_at_each_shows(sandbox: Sandbox, run: Run) -> None:
    ids = [
        sandbox.account.add(requests=n + 1, age=3000.0 * n, status="ended" if n % 3 else "in_progress")
        for n in range(25)
    ]
    run(ids[0])
    run("name", ids[1], "nightly")
    together = run("status", "--json", *ids).stdout
    assert [exchange.path.rpartition("/")[2] for exchange in sandbox.journal[1:]] == ["batches"]
    assert together == "".join(run("status", "--json", one).stdout for one in ids)
    assert '  name      "nightly"\n' in run("status", *ids).stdout


def test_a_page_that_cannot_be_read_leaves_a_look_at_each(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 25)
    sandbox.fail(Fault(match="GET */batches", times=0, status=403))
    done = run("status", "--json", *ids)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 25


def test_a_file_of_windows_holds_ids_too(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 2)
    assert run("-", "--yes", stdin=f"\ufeff{ids[0]}\r\n{ids[1]}\r\n").returncode == 0
    assert sorted(cancels(sandbox)) == sorted(ids)


def test_the_output_of_list_json_and_a_list_with_comments_are_read_from_standard_input(
    sandbox: Sandbox, run: Run
) -> None:
    (other,) = running(sandbox, 1, age=20 * 3600)
    listed = run("list", "--json", "--status", "in_progress", "--limit", "2").stdout
    assert run("-", "--yes", stdin=f"# the newest\n\n{listed}  {other}  # and this\n").returncode == 0
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
    assert (done.stdout + done.stderr).count("completes, is billed") == 1


def test_an_ended_an_unknown_and_a_running_batch_in_one_call_are_each_reported(sandbox: Sandbox, run: Run) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    (active,) = running(sandbox, 1)
    done = run(ended, "msgbatch_unknown", active)
    assert done.returncode == 4
    assert f"message batch {ended} had already ended" in done.stdout
    assert f"{active} canceling" in done.stdout.splitlines()
    assert "or still completes, is billed" in done.stderr
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
