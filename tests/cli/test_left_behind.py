"""Batches that were left behind: found, named, and stopped; those that somebody wants are left alone."""

import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch, open_record
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.cli.test_terminal import CTRL_D, Terminal
from tests.conftest import Run, an_example, cancels, eventually, running
from tests.guarding.commands import started


@pytest.fixture
def left(sandbox: Sandbox, killed: Process) -> str:
    """A running batch of that process, beside one of this process and others that the record does not know."""
    mine, left, _ = running(sandbox, 3)
    record = open_record(print)
    record.add_creation(KnownBatch(left, sandbox.url, killed, name="nightly eval"), "guard")
    record.add_creation(KnownBatch(mine, sandbox.url, Process.current()), "guard")
    return left


def test_list_shows_the_batches_that_were_left_behind(sandbox: Sandbox, run: Run, left: str) -> None:
    done = run("list", "--orphaned")
    assert done.returncode == 0
    assert done.stdout.count("msgbatch_") == 1
    assert left in done.stdout
    assert "nightly eval" in done.stdout
    assert 'Left behind by "train.py" (pid ' in done.stdout
    (shown,) = map(json.loads, run("list", "--orphaned", "--json").stdout.splitlines())
    assert shown["id"] == left
    who = shown["left_behind"]
    assert (who["program"], who["through"], who["end"], who["ended_at"]) == ("train.py", "guard", None, None)
    assert run("list", "--orphaned", "--status", "canceling").stdout == ""
    assert run("list", "--orphaned", "--at-least", "1000000").stdout == ""
    assert run("list", "--orphaned", "--named", "nightly*", "--quiet").stdout == f"{left}\n"


def test_list_shows_all_that_were_left_behind_unless_a_limit_is_given(
    sandbox: Sandbox, run: Run, killed: Process
) -> None:
    record = open_record(print)
    number = record.begin_program("guard", killed)
    left = [sandbox.account.add(requests=9, age=60, status="in_progress") for _ in range(25)]
    for batch in left:
        record.add_creation(KnownBatch(batch, sandbox.url), "guard", program=number)
    assert set(run("list", "--orphaned", "--quiet").stdout.split()) == set(left)
    assert len(run("list", "--orphaned", "--quiet", "--limit", "3").stdout.split()) == 3


def test_all_orphaned_stops_them_and_touches_no_other(sandbox: Sandbox, run: Run, left: str) -> None:
    assert run("--all", "--orphaned").returncode == 2
    assert left in run("--all", "--orphaned", "--dry-run").stdout
    assert cancels(sandbox) == []
    assert run("--all", "--orphaned", "--yes").returncode == 0
    assert cancels(sandbox) == [left]
    assert "nothing to cancel" in run("--all", "--orphaned", "--yes").stderr
    assert cancels(sandbox) == [left]


def test_a_batch_that_has_ended_is_not_looked_up_again(sandbox: Sandbox, run: Run, left: str) -> None:
    run(left)
    sandbox.account.advance(25 * 3600)
    assert run("list", "--orphaned").stdout == ""
    asked = len(sandbox.journal)
    assert "This machine knows no left-behind batch at this base URL." in run("list", "--orphaned").stderr
    assert len(sandbox.journal) == asked


def test_one_that_cannot_be_looked_up_is_named_and_kept(sandbox: Sandbox, run: Run, left: str) -> None:
    sandbox.fail(Fault(match=left, status=404))
    done = run("list", "--orphaned")
    assert done.stdout == ""
    assert f"could not be looked up: {left}" in done.stderr
    assert "404" in done.stderr
    assert left in run("list", "--orphaned").stdout
    for command in (["list", "--orphaned"], ["--all", "--orphaned", "--yes"]):
        sandbox.fail(Fault(match=left, status=403))
        refused = run(*command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "403" in refused.stderr
    assert cancels(sandbox) == []


def test_what_is_not_listed_is_counted(sandbox: Sandbox, run: Run, killed: Process, left: str) -> None:
    record = open_record(print)
    record.add_creation(KnownBatch("msgbatch_01a", "https://other:443", killed), "guard")
    record.add_creation(KnownBatch("msgbatch_01b", "https://other:443", Process.current()), "guard")
    for number in range(2):
        foreign = killed._replace(host="other")
        record.add_creation(KnownBatch(f"msgbatch_02{number}", sandbox.url, foreign), "guard")
    record.note_ended(sandbox.url, [left])
    listed = run("list", "--orphaned")
    assert listed.stdout == ""
    assert "Not listed: 1 more is known at another base URL; 2 more were created on another host" in listed.stderr
    assert "Not listed" not in run("list", "--orphaned", "--quiet").stderr


def test_without_a_record_nothing_is_sent_and_a_broken_one_exits_1(sandbox: Sandbox, run: Run, tmp_path: Path) -> None:
    assert run("list", "--orphaned").returncode == 0
    broken = run("list", "--orphaned", CANCEL_MESSAGE_BATCH_RECORD=str(tmp_path))
    off = run("--all", "--orphaned", "--yes", CANCEL_MESSAGE_BATCH_RECORD="off")
    assert broken.returncode == off.returncode == 1
    assert "it is a directory" in broken.stderr
    assert "turned off" in off.stderr
    assert not sandbox.journal


def test_orphaned_needs_all(run: Run) -> None:
    done = run("--orphaned", EXAMPLE_ID)
    assert done.returncode == 2
    assert "--orphaned does not go with ids" in done.stderr


def test_doctor_and_the_first_line_of_a_chat_mention_them(sandbox: Sandbox, run: Run, left: str) -> None:
    said = "Left behind by a program that failed or was killed: message batch"
    doctor = run("doctor")
    assert doctor.returncode == 0
    assert said in doctor.stdout
    assert left in doctor.stdout
    screen = Terminal(80, "chat")
    screen.until("Ctrl-D ends.\n>")
    assert left in screen.text
    screen.type(CTRL_D)
    screen.end()
    run("--all", "--orphaned", "--yes")
    assert said not in run("doctor").stdout
    assert left not in run("chat", stdin="hello\n").stderr


def test_a_chat_begins_in_time_also_where_they_cannot_be_looked_up(sandbox: Sandbox, run: Run, left: str) -> None:
    sandbox.fail(Fault(match=f"GET */{left}", times=0, hang=True))
    done = run("chat", "--max-retries", "0", stdin="hello\n")
    assert done.returncode == 0
    assert left not in done.stderr


def test_without_a_record_a_chat_asks_the_api_for_nothing(sandbox: Sandbox, run: Run) -> None:
    run("chat", stdin="")
    assert not sandbox.journal


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox as slow as the API: no batch ends while a process starts."""
    with an_example(monkeypatch, speed=1) as running:
        yield running


def ids(sandbox: Sandbox) -> set[str]:
    return {batch.id for batch in sandbox.account.batches()}


def new_batch(sandbox: Sandbox, before: set[str]) -> str:
    (new,) = ids(sandbox) - before
    return new


@pytest.mark.skipif(sys.platform == "win32", reason="it kills process groups")
def test_all_orphaned_stops_exactly_what_was_killed_or_not_confirmed(slow: Sandbox, run: Run) -> None:
    def ended(code: str, *, number: int = 0) -> str:
        with started(code) as process:
            batch = process.stdout.readline().decode().strip() if process.stdout else ""
            if number:
                process.send_signal(number)
            process.communicate(timeout=60)
        return batch

    well = ended("create()")
    failed = ended("create(); sys.exit(1)")
    slow.fail(Fault(match="POST */cancel", status=403))
    unconfirmed = ended("create(); sys.exit(1)")
    interrupted = ended("create(); time.sleep(60)", number=signal.SIGINT)
    with started("create(); time.sleep(60)") as process:
        assert process.stdout
        killed = process.stdout.readline().decode().strip()
        os.killpg(process.pid, signal.SIGKILL)
    before = ids(slow)
    slow.fail(Fault(match="POST */batches", after=True, hang=True))
    with started("create()") as process:
        eventually(lambda: ids(slow) - before)
        os.killpg(process.pid, signal.SIGKILL)
    in_create = new_batch(slow, before)
    assert cancels(slow) == [failed, unconfirmed, interrupted]

    eventually(lambda: killed in run("list", "--orphaned").stdout)
    eventually(lambda: "May be yours" in run("list", "--orphaned").stderr)
    listed = run("list", "--orphaned")
    assert [word for word in listed.stdout.split() if word.startswith("msgbatch_")] == [killed, unconfirmed]
    assert " ago with exit code 1. No cancel was confirmed." in listed.stdout
    assert f"May be yours: {in_create}, in_progress, 3 requests" in listed.stderr
    assert listed.stderr.count("msgbatch_") == 1
    assert run("list", "--orphaned", "--quiet").stdout.split() == [killed, unconfirmed]

    assert run("--all", "--orphaned", "--yes").returncode == 0
    assert sorted(cancels(slow)[3:]) == sorted([killed, unconfirmed])
    for wanted in (well, in_create):
        assert slow.account.get(wanted).status(slow.account.now()) == "in_progress"
    listed = run("list", "--orphaned")
    assert "May be yours" in listed.stderr
    assert listed.stdout == ""
    assert run(in_create).returncode == 0
    assert cancels(slow)[-1] == in_create


@pytest.fixture
def record_path(left: str) -> Path:
    path = open_record(print).path
    assert path
    return path


@pytest.mark.parametrize("hours", [-26, -1, 1, 26])
def test_a_clock_that_jumps_hides_nothing_that_was_left_behind(
    run: Run, left: str, record_path: Path, hours: int
) -> None:
    with closing(sqlite3.connect(record_path)) as file, file:
        file.execute("UPDATE batches SET created_at = created_at + ? * 3600", (hours,))
    assert left in run("list", "--orphaned").stdout
    assert (left in run("doctor").stdout) == (abs(hours) < 25)  # it looks up no old ones


def test_one_that_is_not_found_is_looked_up_until_it_must_have_expired(
    sandbox: Sandbox, run: Run, left: str, record_path: Path
) -> None:
    with closing(sqlite3.connect(record_path)) as file, file:
        file.execute("UPDATE batches SET created_at = created_at - 26 * 3600")
    sandbox.fail(Fault(match=left, status=404))
    run("list", "--orphaned")
    asked = len(sandbox.journal)
    assert "no left-behind batch" in run("list", "--orphaned").stderr
    assert len(sandbox.journal) == asked


@pytest.mark.parametrize(
    ("case", "shown"),
    [
        ({}, True),
        ({"requests": None}, True),
        ({"requests": 4_999}, False),
        ({"requests": 5_001}, False),  # a guard knows the number
        ({"requests": 4_999, "through": "run"}, False),
        ({"requests": 10_000, "through": "run"}, True),  # it counts what looks like requests
        ({"minutes": -4}, True),  # the batch is that much older: clocks differ
        ({"minutes": -6}, False),
        ({"minutes": 14}, True),
        ({"minutes": 16}, False),
        ({"origin": "https://other:443"}, False),
        ({"outcome": "lost"}, True),
        ({"outcome": "refused"}, False),
        ({"program": Process.current()}, False),
        ({"status": "ended"}, False),
        ({"creator": "known"}, False),
    ],
)
def test_only_a_batch_that_fits_a_create_without_a_response_may_be_yours(
    sandbox: Sandbox, run: Run, killed: Process, case: dict[str, Any], shown: bool
) -> None:
    record, minutes = open_record(print), case.get("minutes", 0)
    number = record.begin_program(case.get("through", "guard"), case.get("program", killed))
    intent = record.add_intent(number, case.get("origin", sandbox.url), case.get("requests", 5_000))
    if outcome := case.get("outcome"):
        record.settle_intent(intent, outcome)
    batch = sandbox.account.add(requests=5_000, age=max(-minutes * 60, 0), status=case.get("status", "in_progress"))
    with closing(sqlite3.connect(record.path or "")) as file, file:
        file.execute("UPDATE intents SET at = at - ?", (max(minutes * 60, 0),))
    if case.get("creator"):
        record.add_creation(KnownBatch(batch, sandbox.url, Process.current()), "guard")
    listed = run("list", "--orphaned")
    assert listed.stdout == ""
    assert (f"May be yours: {batch}" in listed.stderr) == shown
    assert batch not in run("list", "--orphaned", "--at-least", "6000").stderr


def test_no_smaller_batch_may_be_yours_if_one_has_the_very_size(sandbox: Sandbox, run: Run, killed: Process) -> None:
    record = open_record(print)
    record.add_intent(record.begin_program("run", killed), sandbox.url, 5_000)
    smaller, very = (sandbox.account.add(requests=size, age=9, status="in_progress") for size in (4_000, 5_000))
    shown = run("list", "--orphaned").stderr
    assert f"May be yours: {very}" in shown
    assert "This batch has that time and size, and" in shown
    assert smaller not in shown


CALLED = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"custom_id": "x"}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "y"}]},
]


@pytest.mark.skipif(sys.platform == "win32", reason="it kills process groups")
@pytest.mark.parametrize(("more", "counted"), [([], 4), (CALLED, 8)])
def test_a_batch_that_is_killed_in_its_create_may_be_yours_whatever_looks_like_a_request_in_it(
    slow: Sandbox, run: Run, more: list[Any], counted: int
) -> None:
    schema = {"type": "object", "properties": {"custom_id": {"type": "string"}}, "required": ["custom_id"]}
    params = {
        "model": "m",
        "max_tokens": 1,
        "tools": [{"name": "look", "description": "d", "input_schema": schema}],
        "messages": [{"role": "user", "content": "Hi"}, *more],
    }
    body = json.dumps({"requests": [{"custom_id": f"q-{n}", "params": params} for n in range(4)]}).encode()
    before = ids(slow)
    slow.fail(Fault(match="POST */batches", after=True, hang=True))
    with started("create()", body=body) as process:
        eventually(lambda: ids(slow) - before)
        os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: f"May be yours: {new_batch(slow, before)}" in run("list", "--orphaned").stderr)
    listed = " ".join(run("list", "--orphaned").stderr.split())
    assert (f"not more than the {counted} requests" in listed) is (counted > 4)
    run("--all", "--orphaned", "--yes")
    assert cancels(slow) == []


def test_a_machine_whose_clock_is_wrong_still_finds_what_may_be_its_own(
    sandbox: Sandbox, run: Run, killed: Process
) -> None:
    record = open_record(print)
    record.add_intent(record.begin_program("guard", killed), sandbox.url, 5_000)
    sandbox.account.advance(3 * 3600)  # the API's clock is ahead
    batch = sandbox.account.add(requests=5_000, age=30, status="in_progress")
    shown = run("list", "--orphaned").stderr
    assert f"May be yours: {batch}" in shown
    assert re.search(r"began to create a batch (just now|\d+ s ago);", shown)


def test_an_old_create_without_a_response_is_looked_for_once_more(sandbox: Sandbox, run: Run, killed: Process) -> None:
    record = open_record(print)
    record.add_intent(record.begin_program("guard", killed), sandbox.url, 5_000)
    with closing(sqlite3.connect(record.path or "")) as file, file:
        file.execute("UPDATE intents SET at = at - 26 * 3600")
    run("list", "--orphaned")
    asked = len(sandbox.journal)
    assert asked
    run("list", "--orphaned")
    assert len(sandbox.journal) == asked


@pytest.mark.parametrize("flags", [["--named", "nightly*"], ["--orphaned"]])
@pytest.mark.parametrize("command", [["list"], ["--all", "--yes"], ["status", "--all"], ["wait", "--all"]])
def test_a_broken_record_is_an_error_where_it_decides_which_batches_are_meant(
    sandbox: Sandbox, run: Run, tmp_path: Path, command: list[str], flags: list[str]
) -> None:
    done = run(*command, *flags, CANCEL_MESSAGE_BATCH_RECORD=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("it is a directory") == 1
    assert "nothing to cancel" not in done.stderr
    assert not sandbox.journal


@pytest.mark.skipif(sys.platform == "win32", reason="it kills process groups")
def test_what_was_left_behind_at_a_base_url_with_a_path_is_found_and_stopped_there(
    slow: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = "/rest/anthropic-message-batches-api/1.0.0"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", slow.url + prefix)
    with started("create(); time.sleep(60)") as process:
        assert process.stdout
        killed = process.stdout.readline().decode().strip()
        os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: killed in run("list", "--orphaned").stdout)
    assert run("--all", "--orphaned", "--yes").returncode == 0
    assert cancels(slow) == [killed]
    assert all(exchange.path.startswith(prefix) for exchange in slow.journal)
