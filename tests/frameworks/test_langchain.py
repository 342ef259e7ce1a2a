"""LangGraph's own node for tools, in a graph that somebody built without an agent."""

from typing import Any

import pytest

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import cancels

pytest.importorskip("langgraph", reason="langgraph is not installed; `make test-frameworks` installs it")

from langchain_core.messages import AIMessage, ToolCall
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode


def call(function: Any, **arguments: Any) -> str:
    """Run one call of the model through the node; returns what the model is told."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([cancel_message_batch, list_message_batches, get_message_batch]))
    graph.add_edge(START, "tools")
    calls = [ToolCall(name=function.__name__, args=arguments, id="1")]
    return str(graph.compile().invoke({"messages": [AIMessage("", tool_calls=calls)]})["messages"][-1].content)


def test_the_node_cancels_and_returns_a_failure_as_text(sandbox: Sandbox) -> None:
    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    assert "accepted but not immediate" in call(cancel_message_batch, message_batch_id=batch)
    assert "There is no message batch msgbatch_x" in call(cancel_message_batch, message_batch_id="msgbatch_x")
    assert cancels(sandbox) == [batch, "msgbatch_x"]


def test_null_is_as_if_an_optional_argument_were_not_given(sandbox: Sandbox) -> None:
    assert "10 message batches" in call(list_message_batches, status=None, limit=None, after_id=None)


@pytest.mark.parametrize("given", [{}, {"message_batch_id": None}, {"message_batch_id": ["msgbatch_x"]}])
def test_without_a_usable_id_nothing_is_sent_and_the_model_hears_which_argument_is_wrong(
    sandbox: Sandbox, given: dict[str, Any]
) -> None:
    assert "message_batch_id" in call(cancel_message_batch, **given)
    assert sandbox.journal == []


def test_an_unknown_argument_is_left_out(sandbox: Sandbox) -> None:
    assert "10 message batches" in call(list_message_batches, color="red")
