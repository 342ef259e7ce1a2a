"""`name`, and what has a say in which batch a name means."""

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
