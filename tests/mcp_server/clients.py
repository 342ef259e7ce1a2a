"""Ways to reach the MCP server with the SDK's own client: in memory, over stdio and over HTTP, in both eras."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from cancel_message_batch.mcp_server.server import build_server

LEGACY, MODERN = "legacy", "2026-07-28"  # with initialize, up to 2025-11-25; and without
ERAS = [LEGACY, MODERN]
COMMAND = [sys.executable, "-m", "cancel_message_batch", "mcp"]


@contextlib.asynccontextmanager
async def over_stdio(era: str = LEGACY, *flags: str, **options: Any) -> AsyncIterator[Client]:
    """Start the server as a client does, which passes it the environment."""
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *flags], env=dict(os.environ))
    async with Client(stdio_client(parameters), mode=era, read_timeout_seconds=30, **options) as client:
        yield client


@contextlib.asynccontextmanager
async def over_http(address: str, token: str, era: str = LEGACY, **options: Any) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http_client,
        Client(streamable_http_client(address, http_client=http_client), mode=era, **options) as client,
    ):
        yield client


def in_memory(era: str = LEGACY, *, confirm: bool = False, timeout: float = 30, **options: Any) -> Client:
    return Client(build_server(confirm=confirm, timeout=timeout), mode=era, read_timeout_seconds=30, **options)


def call(name: str, arguments: Any, era: str = LEGACY, **options: Any) -> types.CallToolResult:
    async def conversation() -> types.CallToolResult:
        async with in_memory(era, **options) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(conversation())


def text(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


@contextlib.contextmanager
def serving(*flags: str, **environment: str) -> Iterator[tuple[str, str, "subprocess.Popen[str]"]]:
    """A server process on loopback: its address, the token that it printed, and the process."""
    process = subprocess.Popen(
        [*COMMAND, "--http", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stderr
        (address,) = re.findall(r"http://\S+/mcp", process.stderr.readline())
        (token,) = re.findall(r"Authorization: Bearer (\S+)", process.stderr.readline())
        yield address, token, process
    finally:
        process.kill()
        process.communicate()
