"""The example for smolagents: its messages are flat text, so the model is scripted with the framework's own classes."""

import importlib.util
import warnings
from typing import Any

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import CANCEL
from tests.conftest import ROOT, cancels

pytest.importorskip("smolagents", reason="smolagents is not installed; `make test-frameworks` installs it")

from smolagents import Model
from smolagents.models import (
    ChatMessage,
    ChatMessageToolCall,
    ChatMessageToolCallFunction,
    MessageRole,
    get_tool_json_schema,
)

# The framework's own warnings are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


class Scripted(Model):
    """Calls the tools that a test wrote down, then answers with what it was told last."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        super().__init__()
        self.calls = list(calls)
        self.told: list[str] = []
        self.schemas: list[Any] = []

    def generate(self, messages: list[Any], tools_to_call_from: Any = None, **_: Any) -> Any:
        self.told = [str(message.content) for message in messages]
        self.schemas = [get_tool_json_schema(tool) for tool in tools_to_call_from]
        name, arguments = self.calls.pop(0) if self.calls else ("final_answer", {"answer": self.told[-1]})
        call = ChatMessageToolCall(
            function=ChatMessageToolCallFunction(name=name, arguments=arguments),
            id=str(len(self.calls)),
            type="function",
        )
        return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[call])


def run(*calls: tuple[str, dict[str, Any]]) -> Scripted:
    spec = importlib.util.spec_from_file_location("smolagents_agent", ROOT / "examples" / "smolagents_agent.py")
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.agent.model = model = Scripted(*calls)
    example.agent.run("Please.")
    return model


def test_the_batch_the_model_names_is_canceled_once_and_a_failure_is_returned_as_text(sandbox: Sandbox) -> None:
    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    model = run((CANCEL.name, {"message_batch_id": f" {batch}"}), (CANCEL.name, {"message_batch_id": "msgbatch_x"}))
    told = " ".join(model.told)
    assert "accepted but not immediate" in told
    assert "There is no message batch msgbatch_x" in told
    assert cancels(sandbox) == [batch, "msgbatch_x"]


def test_the_framework_sees_no_decorator_that_it_would_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*decorators other than")
        assert run().told


def test_the_model_is_given_our_words_and_the_id_as_required(sandbox: Sandbox) -> None:
    given = next(s["function"] for s in run().schemas if s["function"]["name"] == CANCEL.name)
    assert CANCEL.description in " ".join(given["description"].split())
    assert given["parameters"]["required"] == ["message_batch_id"]
    assert given["parameters"]["properties"]["message_batch_id"]["description"]
