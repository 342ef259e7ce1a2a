"""The example for MCP: a server of one's own, driven by the SDK's client."""

import asyncio
from typing import Any

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import CANCEL
from tests.conftest import ROOT, cancels

pytest.importorskip("mcp", reason="mcp is not installed; `make test-frameworks` installs it")

import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


def test_a_server_of_your_own_offers_and_runs_the_tools(sandbox: Sandbox) -> None:
    async def conversation() -> tuple[Any, list[str]]:
        environment = {"ANTHROPIC_API_KEY": "test-key", "ANTHROPIC_BASE_URL": sandbox.url}
        program = [str(ROOT / "examples" / "mcp_agent.py")]
        command = StdioServerParameters(command=sys.executable, args=program, env=environment)
        async with Client(stdio_client(command)) as client:
            (cancel,) = (tool for tool in (await client.list_tools()).tools if tool.name == CANCEL.name)
            results = [
                await client.call_tool(CANCEL.name, {"message_batch_id": each}) for each in (batch, "msgbatch_x")
            ]
            return cancel, [content.text for result in results for content in result.content if content.type == "text"]

    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    cancel, (accepted, unknown) = asyncio.run(conversation())
    words = " ".join(cancel.description.split())
    assert CANCEL.description in words
    assert cancel.input_schema["required"] == ["message_batch_id"]
    for name, part in CANCEL.input_schema["properties"].items():
        assert f"{name}: {part['description']}" in words
        assert cancel.input_schema["properties"][name]["type"] == part["type"]
    assert "accepted but not immediate" in accepted
    assert "There is no message batch msgbatch_x" in unknown
    assert cancels(sandbox) == [batch, "msgbatch_x"]
