"""The lowest and the newest versions of the dependencies at once: two environments, one account, the same words.

`make test-lowest` makes the environment of the lowest versions; without it these tests are skipped.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID
from tests.conftest import an_example, cancels

LOWEST = os.environ.get("LOWEST", "")

pytestmark = [
    pytest.mark.skipif(not LOWEST, reason="`make test-lowest` makes the environment of the lowest versions"),
    pytest.mark.parametrize(
        ("first", "second"), [(LOWEST, sys.executable), (sys.executable, LOWEST)], ids=["lowest first", "newest first"]
    ),
]
MCP = ("-m", "cancel_message_batch", "mcp")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """As slow as the service: what was canceled is canceling to the end of the test."""
    with an_example(monkeypatch, speed=1) as running:
        yield running


def said(python: str, *words: str) -> str:
    command = [python, "-m", "cancel_message_batch", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("sandbox")
def test_both_list_the_same_batches_in_the_same_words(first: str, second: str) -> None:
    assert said(first, "list", "--json") == said(second, "list", "--json")
    shown, again = (re.sub(r" \d+[smhd] ", " AGE ", said(python, "list")) for python in (first, second))
    assert DOCUMENTED_ID in shown
    assert shown == again


def test_a_batch_that_one_cancels_is_canceling_for_the_other(first: str, second: str, sandbox: Sandbox) -> None:
    assert "accepted but not immediate" in said(first, DOCUMENTED_ID)
    assert "canceling" in said(second, "status", DOCUMENTED_ID)
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_of_two_batches_one_is_canceled_and_the_other_looked_up(first: str, second: str, sandbox: Sandbox) -> None:
    assert "accepted but not immediate" in said(first, "ask", f"Cancel {DOCUMENTED_ID}.")
    assert "canceling" in said(second, "ask", f"is {DOCUMENTED_ID} still running?")
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_two_mcp_servers_at_once_offer_the_same_tools_and_see_each_others_cancels(
    first: str, second: str, sandbox: Sandbox
) -> None:
    environment = {name: os.environ[name] for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")}

    async def conversation() -> tuple[list[Any], list[str]]:
        async with AsyncExitStack() as servers:
            clients = [
                await servers.enter_async_context(
                    Client(stdio_client(StdioServerParameters(command=python, args=[*MCP], env=environment)))
                )
                for python in (first, second)
            ]
            offered = [[tool.model_dump() for tool in (await client.list_tools()).tools] for client in clients]
            asked = {"message_batch_id": DOCUMENTED_ID}
            results = [
                await client.call_tool(tool, asked)
                for client, tool in zip(clients, ("cancel_message_batch", "get_message_batch"), strict=True)
            ]
            return offered, [str(result.content) for result in results]

    offered, (accepted, seen) = asyncio.run(conversation())
    assert offered[0] == offered[1]
    assert "accepted but not immediate" in accepted
    assert "canceling" in seen
    assert cancels(sandbox) == [DOCUMENTED_ID]
