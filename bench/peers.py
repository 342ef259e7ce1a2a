"""What we are measured against: the least code that does the job, the official SDK, a server with one fixed answer."""

import sys
from typing import Any

ANSWER = b"""{"id":"msgbatch_013Zva2CMHLNnXjNJJKqJ2EF","type":"message_batch","processing_status":"canceling",\
"request_counts":{"processing":100,"succeeded":0,"errored":0,"canceled":0,"expired":0},\
"created_at":"2026-11-23T10:00:00Z","expires_at":"2026-11-24T10:00:00Z","archived_at":null,\
"cancel_initiated_at":"2026-11-23T10:05:00Z","ended_at":null,"results_url":null}"""


def bare(batch: str) -> None:
    """Send the POST with httpx2 and validate the answer with pydantic."""
    import os
    from datetime import datetime

    import httpx2
    from pydantic import BaseModel

    class RequestCounts(BaseModel):
        processing: int
        succeeded: int
        errored: int
        canceled: int
        expired: int

    class MessageBatch(BaseModel):
        id: str
        processing_status: str
        request_counts: RequestCounts
        created_at: datetime
        expires_at: datetime
        ended_at: datetime | None
        cancel_initiated_at: datetime | None
        archived_at: datetime | None
        results_url: str | None

    url = f"{os.environ['ANTHROPIC_BASE_URL']}/v1/messages/batches/{batch}/cancel"
    headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
    with httpx2.Client() as client:
        print(MessageBatch.model_validate_json(client.post(url, headers=headers).content))


def sdk(batches: list[str]) -> None:
    """Cancel one after the other with the official SDK."""
    import anthropic

    client = anthropic.Anthropic(max_retries=20)
    for batch in batches:
        print(client.messages.batches.cancel(batch).processing_status)


def server() -> None:
    """Answer every request with the same batch."""
    import asyncio

    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(head + ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
        await listening.serve_forever()

    asyncio.run(serve())


def sandbox(batches: int, limit_every: int) -> None:
    """Run a sandbox with this many running batches, which refuses every Nth request."""
    import threading

    from cancel_message_batch.sandbox import Account, Sandbox

    account = Account()
    for _ in range(batches):
        account.add(1_000, 60)
    with Sandbox(account=account, limit_every=limit_every) as running:
        print(running.url, flush=True)
        threading.Event().wait()


def _measured(tools: list[Any], result: str) -> str:
    import json

    shown = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    return json.dumps({"tools": len(shown), "definitions": len(json.dumps(shown)), "result": len(result)})


def generated(openapi: str) -> None:
    """Print the sizes of the tools that FastMCP generates from the API's OpenAPI description, and of a raw response."""
    import asyncio
    from pathlib import Path

    import httpx2
    import yaml
    from fastmcp import Client, FastMCP

    description = yaml.safe_load(Path(openapi).read_text())

    async def tools() -> list[Any]:
        server = FastMCP.from_openapi(description, client=httpx2.AsyncClient(base_url="http://localhost"))
        async with Client(server) as client:
            return list(await client.list_tools())

    print(_measured(asyncio.run(tools()), ANSWER.decode()))


def definitions() -> None:
    """Print the size of the tools of our MCP server, and of its result for a cancel."""
    import asyncio
    import json

    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    from cancel_message_batch.sandbox import Account, Sandbox

    async def measured() -> str:
        account = Account()
        batch = account.add(100, 60)
        with Sandbox(account=account) as running:
            environment = {"ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": running.url}
            environment["CANCEL_MESSAGE_BATCH_RECORD"] = "off"
            command = ["-m", "cancel_message_batch", "mcp"]
            parameters = StdioServerParameters(command=sys.executable, args=command, env=environment)
            async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
                await session.initialize()
                tools = (await session.list_tools()).tools
                result = await session.call_tool("cancel_message_batch", {"message_batch_id": batch})
                return _measured(tools, json.dumps(result.structured_content))

    print(asyncio.run(measured()))


def empty() -> None:
    """Serve the emptiest server of the MCP SDK."""
    from mcp.server.mcpserver import MCPServer

    MCPServer("empty").run()


def tools_of(command: list[str]) -> None:
    """Start an MCP server, wait for its tools, and stop it: a client that costs almost nothing itself."""
    import json
    import subprocess

    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages))
        process.stdin.flush()
        for line in process.stdout:
            if json.loads(line).get("id") == 2:
                break
        process.kill()


if __name__ == "__main__":
    what: dict[str, Any] = {
        "bare": lambda: bare(sys.argv[2]),
        "sdk": lambda: sdk(sys.argv[2:]),
        "sdk-many": lambda: sdk(sys.stdin.read().split()),
        "server": server,
        "generated": lambda: generated(sys.argv[2]),
        "definitions": definitions,
        "empty": empty,
        "tools-of": lambda: tools_of(sys.argv[2:]),
        "sandbox": lambda: sandbox(int(sys.argv[2]), int(sys.argv[3])),
    }
    what[sys.argv[1]]()
