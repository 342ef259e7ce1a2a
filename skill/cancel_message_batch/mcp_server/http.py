"""The MCP server over streamable HTTP on loopback, for clients that hold its bearer token."""

import asyncio
import hmac
import logging
import re
import secrets
from collections.abc import Callable
from socket import create_server
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    import uvicorn

TOKEN_VARIABLE = "CANCEL_MESSAGE_BATCH_MCP_TOKEN"  # noqa: S105 - the name of the variable that holds it

# Seconds for a request to arrive, with its body; bytes of a body; sessions, and seconds for which one may be idle.
_REQUEST_SECONDS = 10.0
_BODY_BYTES = 2**20
_SESSIONS = 100
_SESSION_SECONDS = 1800.0


def new_token() -> str:
    """Make a bearer token that nobody can guess."""
    return secrets.token_urlsafe(32)


def token_fault(token: str) -> str:
    """Return why a text cannot be the bearer token (RFC 6750, section 2.1), or an empty text."""
    if re.fullmatch(r"[A-Za-z0-9._~+/-]{16,}=*", token):
        return ""
    return f"{TOKEN_VARIABLE} must be 16 or more letters, digits or any of - . _ ~ + / and may end in ="


def serve_http(server: Server[Any], port: int, started: Callable[[str], None], *, token: str) -> None:
    """Serve streamable HTTP at ``/mcp`` on loopback, until Ctrl-C; port 0 is any free one."""
    listening = create_server(("127.0.0.1", port))
    port = listening.getsockname()[1]
    started(f"http://127.0.0.1:{port}/mcp")
    _server(server, port, token).run(sockets=[listening])


def _server(server: Server[Any], port: int, token: str) -> "uvicorn.Server":
    import uvicorn

    def application() -> ASGIApp:
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        # The SDK's own setting for loopback takes any text where the port belongs.
        security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])
        application_of = server.streamable_http_app
        app = application_of(max_sessions=_SESSIONS, session_idle_timeout=_SESSION_SECONDS, transport_security=security)
        return _guarded(app, token)

    options: Any = {"ws": "none", "proxy_headers": False, "log_level": "error"}
    serving = uvicorn.Server(uvicorn.Config(application, factory=True, http=_impatient_protocol(), **options))
    # A client's open stream is cut when the server stops, which is no error.
    cut = "ASGI callable returned without completing response."
    logging.getLogger("uvicorn.error").addFilter(lambda line: not (serving.should_exit and line.getMessage() == cut))
    return serving


def _guarded(app: ASGIApp, token: str) -> ASGIApp:
    """Let only requests through that bring the token, and only once their bodies have arrived."""
    refused = PlainTextResponse(
        "This server needs its bearer token: the one that it printed when it started, or the value of "
        f"{TOKEN_VARIABLE}.\n",
        status_code=401,
        headers={"WWW-Authenticate": "Bearer"},
    )
    too_large = PlainTextResponse(f"The body is larger than {_BODY_BYTES:,} bytes.\n", status_code=413)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if not _brings(scope, token):
            await refused(scope, receive, send)
            return
        body = bytearray()
        try:
            async for chunk in Request(scope, receive).stream():
                body += chunk
                if len(body) > _BODY_BYTES:
                    await too_large(scope, receive, send)
                    return
        except ClientDisconnect:  # there is nobody to answer
            return
        whole = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])

        async def receive_whole() -> Message:
            return next(whole, None) or await receive()

        await app(scope, receive_whole, send)

    return guarded


def _brings(scope: Scope, token: str) -> bool:
    """Whether a request brings the token, in its one Authorization header."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, credential = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return scheme.lower() == b"bearer" and hmac.compare_digest(credential.strip(), token.encode())


def _impatient_protocol() -> type[asyncio.Protocol]:
    """Make uvicorn's protocol drop a connection whose request does not arrive in time; by itself it waits forever."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class ImpatientProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_watching()
            super().connection_lost(exc)

        def _watch(self) -> None:
            arrived = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
            if arrived:
                self._stop_watching()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(_REQUEST_SECONDS, self.transport.abort)

        def _stop_watching(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return ImpatientProtocol
