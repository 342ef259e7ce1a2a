"""The example for FastMCP: our server, mounted in another, and FastMCP's client."""

import asyncio
import os
import sys
from typing import Any

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import CANCEL, LIST
from tests.conftest import ROOT, cancels

pytest.importorskip("fastmcp", reason="fastmcp is not installed; `make test-frameworks` installs it")

from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport


def converse(reply: str, *calls: tuple[str, dict[str, Any]]) -> tuple[list[Any], list[str], list[str]]:
    """Make these calls, where a person replies this; returns the tools, the answers and what the person was asked."""
    asked = []

    async def person(message: str, *_: Any) -> ElicitResult[dict[str, str]]:
        asked.append(message)
        return ElicitResult(action="accept", content={"answer": reply})

    async def conversation() -> tuple[list[Any], list[str]]:
        program = [str(ROOT / "examples" / "fastmcp_agent.py")]
        server = StdioTransport(command=sys.executable, args=program, env={**os.environ})
        async with Client(server, elicitation_handler=person) as client:
            tools = await client.list_tools()
            results = [await client.call_tool(name, given, raise_on_error=False) for name, given in calls]
            return tools, [result.content[0].text for result in results]

    tools, told = asyncio.run(conversation())
    return tools, told, asked


@pytest.fixture
def running(sandbox: Sandbox) -> str:
    return sandbox.account.add(requests=5000, age=600, status="in_progress")


def test_the_mounted_server_offers_the_tools_and_asks_before_it_cancels(sandbox: Sandbox, running: str) -> None:
    calls = [(CANCEL.name, {"message_batch_id": each}) for each in (running, "msgbatch_x")]
    tools, (accepted, unknown), (question,) = converse("yes", *calls)
    (cancel,) = (tool for tool in tools if tool.name == CANCEL.name)
    assert CANCEL.description in cancel.description
    assert cancel.input_schema == CANCEL.input_schema
    assert running in question
    assert "accepted but not immediate" in accepted
    assert "There is no message batch msgbatch_x" in unknown
    assert cancels(sandbox) == [running]


def test_without_the_persons_yes_nothing_is_canceled(sandbox: Sandbox, running: str) -> None:
    _, (told,), _ = converse("no", (CANCEL.name, {"message_batch_id": running}))
    assert "ot canceled" in told
    assert cancels(sandbox) == []


def test_bad_arguments_are_reported_and_null_is_as_if_not_given(sandbox: Sandbox, running: str) -> None:
    wrong: list[dict[str, Any]] = [{}, {"message_batch_id": None}, {"message_batch_id": ["msgbatch_x"]}]
    nulls = {"status": None, "limit": None, "after_id": None}
    bad = [(CANCEL.name, given) for given in wrong]
    _, (listed, unknown, *told), _ = converse("yes", (LIST.name, nulls), (LIST.name, {"color": "red"}), *bad)
    assert running in listed
    assert "There is no argument color" in unknown
    for each in told:
        assert "The argument message_batch_id is" in each
    assert cancels(sandbox) == []
