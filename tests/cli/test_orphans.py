"""Batches whose program is gone: found, named, and stopped; those of others are left alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch, open_record
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.cli.test_terminal import CTRL_D, Terminal
from tests.conftest import Run, cancels, running


@pytest.fixture
def gone() -> Process:
    """A process that was killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = Process.of(process.pid, "train.py")
        process.kill()
    return known


@pytest.fixture
def orphan(sandbox: Sandbox, gone: Process) -> str:
    """A running batch of that process, beside one of this process and others that the record does not know."""
    mine, left, _ = running(sandbox, 3)
    record = open_record(print)
    record.add_creation(KnownBatch(left, sandbox.url, gone, name="nightly eval"), "guard")
    record.add_creation(KnownBatch(mine, sandbox.url, Process.current()), "guard")
    return left


def test_list_shows_the_batches_whose_program_is_gone(sandbox: Sandbox, run: Run, orphan: str) -> None:
    done = run("list", "--orphaned")
    assert done.returncode == 0
    assert done.stdout.count("msgbatch_") == 1
    assert orphan in done.stdout
    assert "nightly eval" in done.stdout
    assert json.loads(run("list", "--orphaned", "--json").stdout)["id"] == orphan
    assert run("list", "--orphaned", "--status", "canceling").stdout == ""
    assert run("list", "--orphaned", "--at-least", "1000000").stdout == ""
    assert run("list", "--orphaned", "--named", "nightly*", "--quiet").stdout == f"{orphan}\n"


def test_all_orphaned_stops_them_and_touches_no_other(sandbox: Sandbox, run: Run, orphan: str) -> None:
    assert run("--all", "--orphaned").returncode == 2
    assert orphan in run("--all", "--orphaned", "--dry-run").stdout
    assert cancels(sandbox) == []
    assert run("--all", "--orphaned", "--yes").returncode == 0
    assert cancels(sandbox) == [orphan]
    assert "nothing to cancel" in run("--all", "--orphaned", "--yes").stderr
    assert cancels(sandbox) == [orphan]


def test_a_batch_that_has_ended_is_not_looked_up_again(sandbox: Sandbox, run: Run, orphan: str) -> None:
    run(orphan)
    sandbox.account.advance(25 * 3600)
    assert run("list", "--orphaned").stdout == ""
    asked = len(sandbox.journal)
    assert "This machine knows no unfinished batch whose program is gone." in run("list", "--orphaned").stderr
    assert len(sandbox.journal) == asked


def test_one_that_cannot_be_looked_up_is_named_and_kept(sandbox: Sandbox, run: Run, orphan: str) -> None:
    sandbox.fail(Fault(match=orphan, status=404))
    done = run("list", "--orphaned")
    assert done.stdout == ""
    assert f"could not be looked up: {orphan}" in done.stderr
    assert "404" in done.stderr
    assert orphan in run("list", "--orphaned").stdout
    for command in (["list", "--orphaned"], ["--all", "--orphaned", "--yes"]):
        sandbox.fail(Fault(match=orphan, status=403))
        refused = run(*command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "403" in refused.stderr
    assert cancels(sandbox) == []


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


def test_doctor_and_the_first_line_of_a_chat_mention_them(sandbox: Sandbox, run: Run, orphan: str) -> None:
    said = "Still running, although the program that created it on this machine is gone: message batch"
    doctor = run("doctor")
    assert doctor.returncode == 0
    assert said in doctor.stdout
    assert orphan in doctor.stdout
    screen = Terminal(80, "chat")
    screen.until("Ctrl-D ends.\n>")
    assert orphan in screen.text
    screen.type(CTRL_D)
    screen.end()
    run("--all", "--orphaned", "--yes")
    assert said not in run("doctor").stdout
    assert orphan not in run("chat", stdin="hello\n").stderr


def test_a_chat_begins_in_time_also_where_they_cannot_be_looked_up(sandbox: Sandbox, run: Run, orphan: str) -> None:
    sandbox.fail(Fault(match=f"GET */{orphan}", times=0, hang=True))
    done = run("chat", "--max-retries", "0", stdin="hello\n")
    assert done.returncode == 0
    assert orphan not in done.stderr


def test_without_a_record_a_chat_asks_the_api_for_nothing(sandbox: Sandbox, run: Run) -> None:
    run("chat", stdin="")
    assert not sandbox.journal
