"""`list`."""

import json
import re

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch, open_record
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import Run, cancels, described, running


def test_list_fits_eighty_columns_and_never_cuts_an_id(sandbox: Sandbox, run: Run) -> None:
    done = run("list")
    assert done.returncode == 0
    assert EXAMPLE_ID in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    sandbox.account.add(requests=1, age=600, status="in_progress")
    narrow = run("list", COLUMNS="40")
    assert EXAMPLE_ID in narrow.stdout
    assert "in_progress, 1 request,\n" in narrow.stdout
    assert max(map(len, narrow.stdout.splitlines())) <= 40


def test_the_time_of_a_batch_has_its_zone_and_its_year_where_that_is_not_this_one(sandbox: Sandbox, run: Run) -> None:
    (new,) = running(sandbox, 1)
    for columns in ("80", "40"):
        shown = run("list", "--limit", "0", COLUMNS=columns).stdout
        assert re.search(rf"{new}[^\n]*(\n[^\n]*\n)?[^\n]* \d\d-\d\d \d\d:\d\d UTC", shown)
        assert "2024-08-20 18:37 UTC" in shown


def test_list_is_narrowed_by_age_and_size(sandbox: Sandbox, run: Run) -> None:
    (new,) = running(sandbox, 1, age=60)
    old = sandbox.account.add(requests=77, age=3 * 3600, status="ended")

    def shown(*arguments: str) -> list[str]:
        return run("list", "--quiet", "--limit", "0", *arguments).stdout.splitlines()

    assert shown("--newer-than", "2m") == [new]
    assert old in shown("--older-than", "2h")
    assert new not in shown("--older-than", "2h")
    assert old not in shown("--at-least", "1000")
    assert shown("--newer-than", "4h", "--at-least", "78", "--status", "ended") == []
    assert "There is no message batch like that in this workspace." in run("list", "--at-least", "99999999").stderr


UNREADABLE = [described("msgbatch_a", created_at=None), {"id": "msgbatch_b"}]
OF_MANY = [
    ("list",),
    ("list", "--json"),
    ("list", "--quiet"),
    ("list", "--status", "in_progress"),
    ("list", "--at-least", "2"),
    ("status", "--all"),
    ("status", "--all", "--json", "--newer-than", "1d"),
    ("wait", "--all", "--timeout", "0"),
    ("--all", "--dry-run"),
    ("--all", "--yes", "--quiet"),
]


@pytest.mark.parametrize("arguments", OF_MANY)
def test_batches_that_cannot_be_read_are_counted_and_none_are_said_to_be_missing(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...]
) -> None:
    sandbox.fail(Fault(match="GET", times=0, body={"data": UNREADABLE, "has_more": False}))
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "2 message batches in the listing could not be read and were left out.\n"
    assert cancels(sandbox) == []


@pytest.mark.parametrize("arguments", [arguments for arguments in OF_MANY if arguments[0] != "wait"])
def test_batches_that_can_be_read_are_shown_beside_those_that_cannot(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...]
) -> None:
    page = {"data": [UNREADABLE[0], described(EXAMPLE_ID), UNREADABLE[1]], "has_more": False}
    sandbox.fail(Fault(match="GET", times=0, body=page))
    done = run(*arguments)
    assert done.returncode == 4
    assert EXAMPLE_ID in done.stdout or cancels(sandbox) == [EXAMPLE_ID]
    assert "2 message batches in the listing could not be read" in done.stderr


def test_running_batches_are_found_behind_a_page_that_cannot_be_read(sandbox: Sandbox, run: Run) -> None:
    for page, more in ((UNREADABLE, True), ([described(EXAMPLE_ID)], False)):
        sandbox.fail(Fault(match="GET", body={"data": page, "has_more": more, "last_id": page[-1]["id"]}))
    assert EXAMPLE_ID in run("--all", "--dry-run").stdout


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("status", "--all"), ("wait", "--all", "--timeout", "0"), ("--all", "--dry-run"), ("doctor",)],
)
def test_no_page_is_fetched_twice(sandbox: Sandbox, run: Run, arguments: tuple[str, ...]) -> None:
    running(sandbox, 8)
    run(*arguments)
    assert [exchange.path for exchange in sandbox.journal if exchange.path.endswith("/batches")] == [
        sandbox.journal[0].path
    ]


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("list", "--quiet"), ("status", EXAMPLE_ID, "--json")]
)
def test_nothing_from_the_api_reaches_the_terminal_that_it_would_obey_or_hide(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...]
) -> None:
    hostile = "\x1b\x07\x7f\x85\x9b\u200b\u202e\u2066\ufeff\U000e0041"
    one = {**described(EXAMPLE_ID, f"ended{hostile}"), "note": hostile, hostile: 1}
    others = [described(f"msgbatch_{hostile}"), described("msgbatch_a b")]
    body = one if arguments[0] == "status" else {"data": [one, *others], "has_more": False}
    sandbox.fail(Fault(match="GET", body=body))
    done = run(*arguments)
    assert done.stdout.replace("\n", "").isascii()
    assert done.stdout.replace("\n", "").isprintable()
    if "--json" in arguments:
        assert json.loads(done.stdout.splitlines()[0])["note"] == hostile
    if "--quiet" in arguments:
        assert done.stdout == f"{EXAMPLE_ID}\n"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("nightly [v3]", ["nightly [v3]"]),
        ("nightly [*", ["nightly [v3]"]),
        ("nightly [!a]", []),
        ("nightly ?", ["nightly v"]),
        ("nightly*", ["nightly v", "nightly [v3]"]),
        ('say "hi"', ['say "hi"']),
        ("NIGHTLY*", []),
    ],
)
def test_only_a_star_and_a_question_mark_are_special_in_a_pattern_of_names(
    sandbox: Sandbox, run: Run, pattern: str, found: list[str]
) -> None:
    names = ("nightly v", "nightly [v3]", 'say "hi"')
    ids = dict(zip(names, running(sandbox, 3), strict=True))
    for name, message_batch_id in ids.items():
        run("name", message_batch_id, name)
    assert run("list", "--quiet", "--named", pattern).stdout.split() == [ids[name] for name in found]


@pytest.fixture
def mine(sandbox: Sandbox, run: Run) -> list[str]:
    """A batch created from this machine and one named on it, beside batches that were only canceled or looked at."""
    created, named, canceled, looked_at, elsewhere, renamed = running(sandbox, 6)
    record = open_record(print)
    record.add_creation(KnownBatch(created, sandbox.url, Process.current()), "guard")
    run("name", named, "a colleague's")
    run(canceled)
    run("status", looked_at)
    record.add_creation(KnownBatch(elsewhere, "https://elsewhere.example", Process.current()), "run")
    run("name", renamed, "for a while")
    run("name", renamed, "")
    return [created, named]


def test_mine_are_the_batches_that_were_created_from_or_named_on_this_machine(
    sandbox: Sandbox, run: Run, mine: list[str]
) -> None:
    before = cancels(sandbox)
    assert run("list", "--mine", "--quiet", "--limit", "0").stdout.split() == mine
    assert run("list", "--mine", "--quiet", "--named", "a *").stdout.split() == mine[1:]
    shown = run("status", "--all", "--mine", "--json").stdout
    assert [json.loads(line)["id"] for line in shown.splitlines()] == mine
    assert run("--all", "--mine", "--yes").returncode == 0
    assert sorted(cancels(sandbox)) == sorted([*before, *mine])
    again = run("--all", "--mine", "--yes")
    assert again.returncode == 3
    assert "No message batch like that is in_progress." in again.stderr


def test_without_a_record_mine_is_nothing_and_that_is_said_before_anything_is_sent(sandbox: Sandbox, run: Run) -> None:
    running(sandbox, 2)
    for command in (["list"], ["--all", "--yes"], ["status", "--all"], ["wait", "--all"]):
        done = run(*command, "--mine")
        assert (done.returncode, done.stdout) == (3, "")
        assert "This machine knows of no batch that is yours" in done.stderr
    assert sandbox.journal == []
    assert run(EXAMPLE_ID, "--mine").returncode == 2
