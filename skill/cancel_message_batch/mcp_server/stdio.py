"""The MCP server on standard input and output: one client, which starts it and ends it."""

import asyncio
import os
import signal
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server


def serve_stdio(server: Server[Any]) -> None:
    """Serve one client until it closes standard input or output; Ctrl-C ends the process with 130."""

    async def serve() -> None:
        async with stdio_server() as (read, write):
            try:
                await server.run(read, write, server.create_initialization_options())
            except asyncio.CancelledError:  # standard output failed, so there is nobody to serve
                os._exit(0)

    # The SDK reads in a thread that nothing interrupts, and Python waits for its threads: only this ends it at once.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    asyncio.run(serve())
