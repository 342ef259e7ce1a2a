"""`ask`: one message to the scripted model."""

from typing import Any

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run, cancels


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


def test_the_model_comes_from_the_flag_or_the_environment(sandbox: Sandbox, run: Run) -> None:
    def model() -> Any:
        return next(e.body["model"] for e in reversed(sandbox.journal) if e.path.endswith("/messages"))

    run("ask", "hello", "--model", "claude-flag", ANTHROPIC_MODEL="claude-environment")
    assert model() == "claude-flag"
    run("ask", "hello", ANTHROPIC_MODEL="claude-environment")
    assert model() == "claude-environment"
