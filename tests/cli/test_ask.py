"""`ask`: one message to the scripted model."""

from typing import Any

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import Run, cancels, running


def test_ask_cancels_a_named_batch_with_exactly_one_post(sandbox: Sandbox, run: Run) -> None:
    done = run("ask", f"Cancel the message batch with ID {EXAMPLE_ID}.")
    assert done.returncode == 0
    assert "canceling" in done.stdout
    assert "not immediate" in done.stdout
    assert f"→ cancel_message_batch {EXAMPLE_ID}" in done.stderr
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_ask_without_a_terminal_cancels_nothing_that_was_not_named(sandbox: Sandbox, run: Run) -> None:
    newest = running(sandbox, 1, age=1)[0]
    done = run("ask", "cancel my newest batch")
    assert done.returncode == 6
    said = (
        f"Not canceled: {newest} needs your yes. Run `cancel-message-batch {newest}`, or pass `--may-cancel {newest}`."
    )
    assert said in done.stderr
    assert cancels(sandbox) == []


def test_a_batch_that_may_be_canceled_needs_no_other_consent(sandbox: Sandbox, run: Run) -> None:
    newest, other = running(sandbox, 2, age=1)
    assert run("ask", "cancel my newest batch", "--may-cancel", other).returncode == 6
    assert cancels(sandbox) == []
    assert run("ask", "cancel my newest batch", "--may-cancel", other, "--may-cancel", newest).returncode == 0
    assert cancels(sandbox) == [newest]


@pytest.mark.parametrize("value", ["any", "*", "", "all", "msgbatch_*"])
def test_nothing_means_any_batch(sandbox: Sandbox, run: Run, value: str) -> None:
    done = run("ask", "cancel my newest batch", "--may-cancel", value)
    assert done.returncode == 2
    assert cancels(sandbox) == []


def test_what_to_say_can_come_from_standard_input(sandbox: Sandbox, run: Run) -> None:
    assert run("ask", "-", stdin=f"Cancel {EXAMPLE_ID}.\n").returncode == 0
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert run("ask", "-", stdin=" \n").returncode == 2


def test_exit_codes_of_ask_say_how_it_went(sandbox: Sandbox, run: Run) -> None:
    (active,) = running(sandbox, 1)
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    assert run("ask", f"Cancel {ended}.").returncode == 0
    assert run("ask", "what is running?").returncode == 0
    assert run("ask", "Cancel msgbatch_unknown.").returncode == 1
    assert run("ask", f"Cancel {active} and msgbatch_unknown.").returncode == 4
    sandbox.fail(Fault(match="POST */cancel", times=0, status=403))
    assert run("ask", f"Cancel {EXAMPLE_ID}.").returncode == 1
    sandbox.fail(Fault(match="*/v1/messages", times=0, status=401))
    assert run("ask", "what is running?").returncode == 1


def test_ask_reports_a_refused_key_in_plain_words(sandbox: Sandbox, run: Run) -> None:
    done = run("ask", "what is running?", ANTHROPIC_API_KEY="invalid")
    assert done.returncode == 1
    assert "Check the API key" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_model_comes_from_the_flag_or_the_environment(sandbox: Sandbox, run: Run) -> None:
    def model() -> Any:
        return next(e.body["model"] for e in reversed(sandbox.journal) if e.path.endswith("/messages"))

    run("ask", "hello", "--model", "claude-flag", ANTHROPIC_MODEL="claude-environment")
    assert model() == "claude-flag"
    run("ask", "hello", ANTHROPIC_MODEL="claude-environment")
    assert model() == "claude-environment"
