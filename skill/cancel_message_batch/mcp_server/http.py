"""The MCP server over streamable HTTP on loopback, for clients that hold its bearer token."""

import asyncio
import hmac
import logging
import math
import re
import secrets
import time
from collections.abc import Callable
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    import uvicorn

TOKEN_VARIABLE = "CANCEL_MESSAGE_BATCH_MCP_TOKEN"  # noqa: S105 - the name of the variable that holds it

_REQUEST_SECONDS = 10.0  # for a request to arrive with its body
_BODY_BYTES = 2**20
_SESSIONS = 100
_SESSION_SECONDS = 1800.0  # for which a session may be idle


def new_token() -> str:
    """Make a bearer token that nobody can guess."""
    return secrets.token_urlsafe(32)


def token_fault(token: str) -> str:
    """Return why a text cannot be the bearer token (RFC 6750, section 2.1), or an empty text."""
    if re.fullmatch(r"[A-Za-z0-9._~+/-]{16,}=*", token):
        return ""
    return f"{TOKEN_VARIABLE} must be 16 or more letters, digits or any of - . _ ~ + / and may end in ="


def serve_loopback(server: Server[Any], port: int, started: Callable[[str], None], *, token: str) -> None:
    """Serve streamable HTTP at ``/mcp`` on loopback, until Ctrl-C; port 0 is any free one."""
    listening = create_server(("127.0.0.1", port))
    listening.setsockopt(
        IPPROTO_TCP, TCP_NODELAY, 1
    )  # its connections inherit it; each response would take 40 ms longer
    port = listening.getsockname()[1]
    started(f"http://127.0.0.1:{port}/mcp")
    _server(server, port, token).run(sockets=[listening])


def _server(server: Server[Any], port: int, token: str) -> "uvicorn.Server":
    """Build a server that requires the token, and closes connections on which no request arrives in time."""
    import uvicorn

    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    build_app = server.streamable_http_app
    app = build_app(
        max_request_body_size=_BODY_BYTES,
        max_sessions=_SESSIONS,
        session_idle_timeout=_SESSION_SECONDS,
        # The SDK's own setting for loopback accepts any text where the port belongs.
        transport_security=TransportSecuritySettings(
            allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
        ),
    )
    refused = PlainTextResponse(
        "This server needs its bearer token: the one that it printed when it started, or the value of "
        f"{TOKEN_VARIABLE}.\n",
        status_code=401,
        headers={"WWW-Authenticate": "Bearer"},
    )
    waiting_since: dict[Any, float] = {}  # by client address; infinite while a request is being answered

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with asyncio.TaskGroup() as group:
                cutting = group.create_task(cut_slow_clients())
                await app(scope, receive, send)
                cutting.cancel()
            return

        async def receive_noting() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                waiting_since[scope["client"]] = math.inf
            return message

        await (app if _has_token(scope, token) else refused)(scope, receive_noting, send)
        waiting_since[scope["client"]] = time.monotonic()

    async def cut_slow_clients() -> None:
        """Close each connection on which no request arrives in time. uvicorn itself would wait forever."""
        while not serving.force_exit:
            await asyncio.sleep(_REQUEST_SECONDS / 10)
            connections: list[Any] = list(serving.server_state.connections)
            for closed in waiting_since.keys() - {connection.client for connection in connections}:
                del waiting_since[closed]
            now = time.monotonic()
            for connection in connections:
                if now - waiting_since.setdefault(connection.client, now) > _REQUEST_SECONDS:
                    connection.transport.abort()

    options: Any = {"http": "h11", "ws": "none", "proxy_headers": False, "log_level": "error"}
    serving = uvicorn.Server(uvicorn.Config(guarded, **options))
    # A client's open stream is cut when the server stops, which is not an error.
    cut = "ASGI callable returned without completing response."
    logging.getLogger("uvicorn.error").addFilter(lambda line: not (serving.should_exit and line.getMessage() == cut))
    return serving


def _has_token(scope: Scope, token: str) -> bool:
    """Return whether a request has the token in its one Authorization header."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, credential = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return scheme.lower() == b"bearer" and hmac.compare_digest(credential.strip(), token.encode())
