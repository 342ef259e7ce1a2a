"""The sandbox's server: on loopback, in a background thread or in the foreground."""

import asyncio
import signal
import threading
from dataclasses import replace
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_NODELAY, create_server, socket
from typing import Any, Self

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .account import Account
from .app import CancelEnded, create_app
from .faults import Fault
from .journal import Journal
from .simulated_batch import DOCUMENTED_ID

_BACKLOG = 2048  # connections that may wait: a test starts a thousand clients at once
_SERVER_OPTIONS: Any = {"ws": "none", "lifespan": "off", "log_config": None, "log_level": "error", "access_log": False}
_SERVER_OPTIONS |= {"server_header": False, "date_header": False, "proxy_headers": False}


class Sandbox:
    """A sandbox server on loopback, run in a background thread.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.
        speed: How many times faster than the real service the example account processes requests.
        account: By default, an example account.
        cancel_ended: What canceling an ended batch returns: an error, or 200 and the unchanged batch.
        limit_every: Every so many requests, one is answered 429; 0 for none.
        retry_after: The ``retry-after`` header of that response.
        tell_workspace: Whether responses name their workspace, in the header ``anthropic-workspace-id``.

    Attributes:
        url: The URL of the server, such as ``http://127.0.0.1:8080``, once it is started.
        account: The simulated account.
        journal: Every request to the API and its response, oldest first.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 60.0,
        account: Account | None = None,
        cancel_ended: CancelEnded = "error",
        limit_every: int = 0,
        retry_after: str = "1",
        tell_workspace: bool = True,
    ) -> None:
        self.url = ""
        self.account = Account.example(speed=speed) if account is None else account
        self.journal = Journal()
        self._faults: list[Fault] = []
        self._address = (host, port)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._app = create_app(
            self.account,
            cancel_ended=cancel_ended,
            limit_every=limit_every,
            retry_after=retry_after,
            tell_workspace=tell_workspace,
            journal=self.journal,
            faults=self._faults,
            hosts=(host,),
        )

    def fail(self, fault: Fault) -> None:
        """Queue a fault, for the next request that it matches."""
        # A copy, since a fault counts down and the caller may queue it again.
        self._faults.append(replace(fault))

    def start(self) -> None:
        """Start the server. An OSError most likely means that the port is in use."""
        if self._server is not None:
            raise RuntimeError("the sandbox is already started")
        host, port = self._address
        family = AF_INET6 if ":" in host else AF_INET
        listener = create_server((host, port), family=family, backlog=_BACKLOG)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listener.getsockname()[1]}"
        config = uvicorn.Config(self._app, http=_Connection, loop="asyncio", backlog=_BACKLOG, **_SERVER_OPTIONS)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server at once, even if clients are still connected."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def serve(self) -> None:
        """Run in the foreground, from the main thread, until SIGINT or SIGTERM. Raises as ``start`` does."""
        stopping = threading.Event()
        self.start()
        before = {
            number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            print(_WELCOME.format(url=self.url, id=DOCUMENTED_ID), flush=True)  # noqa: T201 - in the foreground
            # With a timeout, since a wait without one blocks signals on Windows.
            while not stopping.wait(1):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.stop()


_WELCOME = """\
A sandbox of the Message Batches API runs at {url}
Everything in it is simulated, Claude too, and any API key will do.
In another terminal:

  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=any
  cancel-message-batch list
  cancel-message-batch ask "cancel my newest batch"
  cancel-message-batch {id}

That last batch is the one of the API's examples: its cancel is accepted,
but it never ends. The others do.
Ctrl-C stops it."""


class _Server(uvicorn.Server):
    """A uvicorn server that stops at once and drops its clients: tests start hundreds and leave clients waiting."""

    async def main_loop(self) -> None:
        while not self.should_exit:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)


class _Connection(H11Protocol):
    """A connection that the app can close without a response, for which ASGI has no message."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does this for the sockets that it opens itself. Without it, each response takes 40 ms longer.
        transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        app: Any = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope["sandbox.connection"] = transport
            await app(scope, receive, send)

        self.app = with_connection
