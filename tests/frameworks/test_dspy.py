"""The example for DSPy: its calls are fields in flat text, so what the scripted model says is written down here."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, LIST
from tests.conftest import ROOT, cancels
from tests.scripted import answer

pytest.importorskip("dspy", reason="dspy is not installed; `make test-frameworks` installs it")


def model_says(sandbox: Sandbox, **fields: str) -> None:
    text = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in [*fields.items(), ("completed", "")])
    message = answer("")[0]["message"]
    body = {**message, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    sandbox.fail(Fault(match="POST */v1/messages", body=body))


def run(sandbox: Sandbox, *calls: tuple[str, dict[str, Any]]) -> list[str]:
    """Let the model make these calls; returns what it was sent at each turn, the last with all observations."""
    for tool, arguments in [*calls, ("finish", {})]:
        given = json.dumps(arguments)
        model_says(sandbox, next_thought="I call it.", next_tool_name=tool, next_tool_args=given)
    model_says(sandbox, reasoning="It was told.", answer="Done, in the script's words.")
    program = [sys.executable, str(ROOT / "examples" / "dspy_agent.py"), "Please."]
    done = subprocess.run(program, capture_output=True, text=True, timeout=180, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done, in the script's words." in done.stdout
    return [json.dumps(each.body) for each in sandbox.journal if each.path.endswith("/v1/messages")]


def test_the_batch_the_model_names_is_canceled_once_and_failures_are_returned_as_text(sandbox: Sandbox) -> None:
    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    wrong: list[dict[str, Any]] = [{"message_batch_id": None}, {}, {"message_batch_id": ["msgbatch_x"]}]
    calls = [{"message_batch_id": batch}, {"message_batch_id": "msgbatch_x"}, *wrong]
    told = run(sandbox, *((CANCEL.name, arguments) for arguments in calls))
    assert "accepted but not immediate" in told[1]
    assert "There is no message batch msgbatch_x" in told[2]
    assert cancels(sandbox) == [batch, "msgbatch_x"]
    for number in range(2, 5):
        assert "message_batch_id" in told[-1].partition(f"observation_{number} ")[2].partition("thought_")[0]


def test_null_lists_as_if_it_were_not_given_and_an_unknown_argument_is_reported(sandbox: Sandbox) -> None:
    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    nulls = {"status": None, "limit": None, "after_id": None}
    told = run(sandbox, (LIST.name, nulls), (LIST.name, {"color": "red"}))
    assert batch in told[1]
    assert "color" in told[2].partition("observation_1 ")[2]


def test_the_model_is_given_our_words(sandbox: Sandbox) -> None:
    words = " ".join(run(sandbox)[0].replace("\\n", " ").split())
    for tool in (CANCEL, LIST):
        assert json.dumps(tool.description)[1:-1] in words
        for name, argument in tool.input_schema["properties"].items():
            assert f"{name}: {argument['description']}" in words
