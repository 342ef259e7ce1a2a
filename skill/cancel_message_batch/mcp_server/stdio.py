"""The MCP server on standard input and output: one client, which starts it and ends it."""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from cancel_message_batch.tools import Tool

from .server import TIMEOUT, Note, build_server


def serve_stdio(
    *, more: Sequence[Tool] = (), confirm: bool = False, timeout: float = TIMEOUT, note: Note | None = None
) -> None:
    """Serve one client until it closes standard input or output; Ctrl-C ends the process with 130.

    Args:
        more: Tools besides the three.
        confirm: Ask the person, through the client, before a batch is canceled.
        timeout: Seconds for one tool call, without the time in which the person is asked.
        note: Called in a thread with each cancel.
    """
    # The SDK reads in a thread that nothing interrupts, and Python waits for its threads: only this ends it at once.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    asyncio.run(_serve(build_server(more=more, confirm=confirm, timeout=timeout, note=note)))


async def _serve(server: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        try:
            await server.run(read, write, server.create_initialization_options())
        except asyncio.CancelledError:  # standard output failed, so there is nobody to serve
            os._exit(0)
