"""`name`, and what has a say in which batch a name means."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run, cancels, running


def test_a_name_is_kept_by_this_machine_alone_and_can_be_taken_away(sandbox: Sandbox, run: Run) -> None:
    done = run("name", EXAMPLE_ID, "nightly eval v3")
    assert done.returncode == 0
    assert done.stderr.startswith(f'{EXAMPLE_ID} is named "nightly eval v3". Only this machine knows the name')
    assert "nightly eval v3" in run("list").stdout
    assert run("name", EXAMPLE_ID, "").stderr == f"{EXAMPLE_ID} has no name now.\n"
    assert "nightly" not in run("list").stdout
    assert not [exchange for exchange in sandbox.journal if exchange.method != "GET"]


def name_of(message_batch_id: str) -> str | None:
    known = open_record(print).known(message_batch_id)
    return known.name if known else None


def test_naming_sends_nothing_and_needs_no_credential(run: Run) -> None:
    assert run("name", EXAMPLE_ID, "mine").returncode == 0
    assert name_of(EXAMPLE_ID) == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 10_000, "a name has at most 100 characters, and this one has 10,000"),
        ("\x1b\x07", "has no visible character"),
        (EXAMPLE_ID, "so that nobody mistakes it for an id"),
    ],
)
def test_a_text_that_cannot_be_a_name_exits_2_and_changes_nothing(run: Run, name: str, said: str) -> None:
    run("name", EXAMPLE_ID, "mine")
    done = run("name", EXAMPLE_ID, name)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr) < 300
    assert name_of(EXAMPLE_ID) == "mine"


@pytest.mark.parametrize("arguments", [["nightly", "eval"], [EXAMPLE_ID], [], [EXAMPLE_ID, "nightly", "eval"]])
def test_a_text_that_is_not_an_id_or_several_names_exit_2(run: Run, arguments: list[str]) -> None:
    done = run("name", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_name_that_sounds_like_an_order_is_not_an_order(sandbox: Sandbox, run: Run) -> None:
    (named, _) = running(sandbox, 2)
    assert run("name", named, "cancel everything").returncode == 0
    assert run("ask", "what is running?").returncode == 0
    assert run("cancel everything").returncode == 2
    assert cancels(sandbox) == []


@pytest.mark.parametrize("command", [["name", EXAMPLE_ID, "mine"], ["history"]])
def test_without_a_record_both_commands_say_why_and_exit_1(run: Run, tmp_path: Path, command: list[str]) -> None:
    off = run(*command, CANCEL_MESSAGE_BATCH_RECORD="off")
    broken = run(*command, CANCEL_MESSAGE_BATCH_RECORD=str(tmp_path))
    assert off.returncode == broken.returncode == 1
    assert off.stderr == "The record is turned off (CANCEL_MESSAGE_BATCH_RECORD=off).\n"
    assert "it is a directory" in broken.stderr
    assert broken.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["list"], ["--all", "--yes"], ["--all", "--dry-run"], ["status", "--all"]])
def test_a_pattern_that_matches_nothing_exits_3_and_says_which_names_there_are(
    sandbox: Sandbox, run: Run, command: list[str]
) -> None:
    (other,) = running(sandbox, 1)
    nobody = run(*command, "--named", "nightly")
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert " has a name on this machine" in nobody.stderr
    for name, message_batch_id in (("nightly \x1b[31m\u202eeval", EXAMPLE_ID), ('say "hi"', other)):
        run("name", message_batch_id, name)
    done = run(*command, "--named", "nightly", "--quiet")
    assert (done.returncode, done.stdout) == (3, "")
    assert """The names there are: "say 'hi'", "nightly [31m eval".""" in done.stderr
    assert cancels(sandbox) == []
    assert run(*command, "--named", "nightly*", "--quiet").returncode == 0


def test_of_many_names_only_the_newest_are_said(sandbox: Sandbox, run: Run) -> None:
    for number, message_batch_id in enumerate(running(sandbox, 60)):
        open_record(print).set_name(message_batch_id, f"{number:02}" + "x" * 98)
    said = run("--all", "--yes", "--named", "nightly").stderr
    assert '"00xx' in said
    assert " and 50 more." in said
    assert len(said) < 1_300


def test_a_name_that_is_an_id_is_neither_a_name_nor_an_order(sandbox: Sandbox, run: Run) -> None:
    one, other = running(sandbox, 2)
    assert run("name", one, other).returncode == 2
    record = open_record(print)
    record.set_name(one, "x")
    with contextlib.closing(sqlite3.connect(record.path or "")) as file, file:
        file.execute("UPDATE batches SET name = ?", (other,))  # by whatever wrote it
    for pattern in (other, "msgbatch_*", "*"):
        assert run("--all", "--yes", "--named", pattern).returncode == 3
    assert cancels(sandbox) == []


def _a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _executed(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)


BROKEN: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"not a database" * 1_000),
    "a directory": _a_directory,
    "others may write": lambda path: path.chmod(0o666),
    "no names": lambda path: _executed(path, "ALTER TABLE batches RENAME COLUMN name TO other"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("flag", [["--named", "nightly*"], ["--mine"]])
def test_with_a_broken_record_no_batch_is_chosen_by_what_it_holds_and_that_is_an_error(
    sandbox: Sandbox, run: Run, flag: list[str], broken: str
) -> None:
    run("name", EXAMPLE_ID, "nightly")
    path = open_record(print).path
    assert path is not None
    BROKEN[broken](path)
    for command in (["list"], ["--all", "--yes"], ["--all", "--dry-run"], ["status", "--all"], ["wait", "--all"]):
        done = run(*command, *flag)
        assert (done.returncode, done.stdout) == (1, "")
        assert "The record " in done.stderr
        assert "othing to cancel" not in done.stderr
    assert run("--all", "--yes", *flag, CANCEL_MESSAGE_BATCH_RECORD="off").returncode == 1
    assert cancels(sandbox) == []
