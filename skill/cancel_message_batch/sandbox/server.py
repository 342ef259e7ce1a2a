"""The sandbox's server: on loopback, in a background thread or in the foreground."""

import asyncio
import contextlib
import os
import signal
import struct
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_NODELAY, create_server, socket
from typing import Any, Self

import uvicorn
from starlette.types import Receive, Scope, Send

from .account import Account
from .app import CancelEnded, create_app
from .faults import Fault, make_fault
from .interceptor import LOOPBACK_NAMES, Interceptor
from .journal import Journal
from .simulated_batch import DAY, DOCUMENTED_ID, HOUR, MINUTE

_BACKLOG = 2048  # connections that may wait, since a test starts a thousand clients at once
_ACCEPTING = 0.001  # seconds, for the loop to go around a few times
_LONGEST_WAIT = 5.0  # seconds, until the server has stopped listening, or listens again
_AGAIN = 0.05  # seconds between two attempts to listen at an address that something else has
_SERVER_OPTIONS: Any = {
    "interface": "asgi3",
    "http": "h11",
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "log_level": "error",
}
_SERVER_OPTIONS |= {
    "access_log": False,
    "server_header": False,
    "backlog": _BACKLOG,
    "date_header": False,
    "proxy_headers": False,
}

# freezegun replaces time.monotonic in every module, but neither clock_gettime nor what a partial holds.
if sys.platform == "win32":
    _now = partial(time.monotonic)
else:
    _now = partial(time.clock_gettime, time.CLOCK_MONOTONIC)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose timers follow the real time, even while a test has frozen it."""
    loop = asyncio.new_event_loop()
    loop.time = _now  # type: ignore[method-assign]
    return loop


def _listener(host: str, port: int) -> socket:
    family = AF_INET6 if ":" in host else AF_INET
    listener = create_server((host, port), family=family, backlog=_BACKLOG)
    # Its connections inherit this; each response would take 40 ms longer.
    listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return listener


def _reset_when_closed(transport: Any) -> None:
    """Let a connection that is closed without what was to be sent end as that of a peer that is gone."""
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)


_all_connections: "weakref.WeakSet[_Connections]" = weakref.WeakSet()


class _Connections:
    """The connections of a server: those that it has, and whether it accepts more."""

    def __init__(self) -> None:
        _all_connections.add(self)
        self.server: uvicorn.Server | None = None
        self.listener: socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused_at_start = 0.0

    def begin(self, loop: asyncio.AbstractEventLoop) -> float:
        """Belong to a server that starts; return for how many seconds it refuses connections first."""
        self._loop, self._orders = loop, asyncio.Queue[tuple[float | None, threading.Event]]()
        self._accepting: list[threading.Event] = []  # set once connections are accepted again
        seconds, self._refused_at_start = self._refused_at_start, 0.0
        return seconds

    def end(self) -> None:
        """Belong to no server any more."""
        self._loop = self.server = self.listener = None

    def order(self, seconds: float | None) -> threading.Event:
        """Refuse connections for this long; 0: accept them again; None: stop. The event is set once that is done."""
        done = threading.Event()
        if self._loop is None:
            self._refused_at_start = max(self._refused_at_start, seconds) if seconds else 0.0
            done.set()
        else:
            self._loop.call_soon_threadsafe(self._orders.put_nowait, (seconds, done))
        return done

    async def accepted(self) -> tuple[float | None, threading.Event]:
        """Wait until connections are no longer to be accepted; return that order."""
        for done in self._accepting:
            done.set()
        self._accepting.clear()
        while (order := await self._orders.get())[0] == 0:
            order[1].set()
        return order

    async def refused(self, seconds: float) -> float | None:
        """Wait while connections are refused; return 0 once they are to be accepted again, or None to stop."""
        end = _now() + seconds
        while True:
            try:
                more, done = await asyncio.wait_for(self._orders.get(), end - _now())
            except TimeoutError:
                return 0.0
            if not more:
                self._accepting.append(done)
                return more
            end = max(end, _now() + more)
            done.set()

    def refuse(self, seconds: float, scope: Scope) -> None:
        """Refuse connections for this long. That of a request is reset, the others are closed."""
        for transport in self._transports(scope):
            _reset_when_closed(transport)
        self.order(seconds)

    def abort(self) -> None:
        """Close all connections, in the event loop."""
        for connection in self._open():
            connection.transport.abort()

    def close_all(self) -> None:
        """Close all connections, from another thread; return once they are closed."""
        aborted = threading.Event()

        def abort(loop: asyncio.AbstractEventLoop) -> None:
            self.abort()
            loop.call_soon(aborted.set)  # after what closes them, which is called soon too

        if self._loop is not None:
            self._loop.call_soon_threadsafe(abort, self._loop)
            aborted.wait(_LONGEST_WAIT)

    def close(self, scope: Scope, *, reset: bool = False) -> None:
        """Close the connection of a request after what was sent so far; or reset it."""
        for transport in self._transports(scope):
            if reset:
                _reset_when_closed(transport)
                transport.abort()
            else:
                transport.close()

    def write(self, scope: Scope, data: bytes) -> None:
        """Send bytes as they are over the connection of a request."""
        for transport in self._transports(scope):
            transport.write(data)

    def leave_to_parent(self) -> None:
        """Give up the copies of the sockets in a forked child: while one is open, no peer sees the parent close it."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for copy in (self.listener, *(each.transport.get_extra_info("socket") for each in self._open())):
            if copy is not None and copy.fileno() >= 0:
                os.dup2(nothing, copy.fileno(), inheritable=False)  # its owner may close it later
        os.close(nothing)

    def _transports(self, scope: Scope) -> list[Any]:
        return [connection.transport for connection in self._open() if connection.client == scope["client"]]

    def _open(self) -> list[Any]:
        return list(self.server.server_state.connections) if self.server else []


def _after_fork() -> None:
    for connections in _all_connections:
        connections.leave_to_parent()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)


class _Faults(list[Fault]):
    """The faults that are still to come."""

    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def clear(self) -> None:
        """Forget all faults, and accept connections again if one refuses them."""
        super().clear()
        self._connections.order(0.0).wait(_LONGEST_WAIT)


class Sandbox:
    """A sandbox server on loopback, run in a background thread.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.
        account: By default, an example account.
        key: The only key that is accepted, as API key or as token; None for any.
        certificate: A PEM file with a certificate and its private key: the server then speaks HTTPS only. Clients do
            not trust the certificate unless they are told to.
        cancel_ended: What canceling an ended batch returns: an error, or 200 and the unchanged batch.
        limit_every: One of this many requests gets a 429; 0 for none.
        retry_after: The ``retry-after`` header of that response.
        workspace_header: Whether responses name their workspace, in the header ``anthropic-workspace-id``.

    Attributes:
        url: The URL of the server, such as ``http://127.0.0.1:8080``, once it is started.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        account: Account | None = None,
        key: str | None = None,
        certificate: Path | str | None = None,
        cancel_ended: CancelEnded = "error",
        limit_every: int = 0,
        retry_after: str = "1",
        workspace_header: bool = True,
    ) -> None:
        self.url = ""
        self._key = key
        self._address = (host, port)
        self._limit: Any = {"limit_every": limit_every, "retry_after": retry_after}
        self._options: Any = {"key": key, "cancel_ended": cancel_ended, "workspace_header": workspace_header}
        self._server_options = {**_SERVER_OPTIONS, **({"ssl_certfile": certificate} if certificate else {})}
        self._connections = _Connections()
        self._thread: threading.Thread | None = None
        self.reset(account or Account.example())

    def __repr__(self) -> str:
        return f"<Sandbox {self.url or 'not started'}, {len(self.account.batches())} batches>"

    def reset(self, account: Account | None = None) -> None:
        """Start anew at the same URL: with an account without batches or this one, no faults and an empty journal.

        Open connections are closed, and a refusal of new ones ends. What is still answering a request keeps the account
        and the journal of before.
        """
        account, journal, faults = account or Account(), Journal(), _Faults(self._connections)
        host, _ = self._address
        self._api = create_app(account, journal, faults, self.fail, **self._options)
        self._app = Interceptor(
            self._api,
            account,
            journal,
            faults,
            hosts=LOOPBACK_NAMES | {host.lower()},
            connections=self._connections,
            **self._limit,
        )
        self._connections.order(0.0).wait(_LONGEST_WAIT)
        self._connections.close_all()  # or the next request might be sent over one that is about to close

    @property
    def account(self) -> Account:
        """The simulated account."""
        return self._app.account

    @account.setter
    def account(self, account: Account) -> None:
        self._app.account = self._api.state.account = account

    @property
    def journal(self) -> Journal:
        """Every request to the API and its response, oldest first."""
        return self._app.journal

    @property
    def faults(self) -> list[Fault]:
        """The faults that are still to come. The first that fits a request meets it."""
        return self._app.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        given = list(faults)
        self.faults.clear()
        for fault in given:
            self.fail(fault)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Advance the account's clock. Batches that have been processed by then end."""
        self.account.advance(days * DAY + hours * HOUR + minutes * MINUTE + seconds)

    def finish(self, batch_id: str) -> None:
        """End a batch now: all its requests are processed, or a canceling one is canceled. The clock stays."""
        self.account.finish(batch_id)

    def fail(self, fault: Fault) -> None:
        """Queue a fault for the next requests that it is about."""
        if fault.at_once and fault.refuse is not None:
            self._connections.order(fault.refuse).wait(_LONGEST_WAIT)
        else:
            # A copy, since a fault counts down and the caller may queue it again.
            self.faults.append(replace(fault))

    def fault(self, name: str | None = None, **fields: Any) -> None:
        """Queue a fault with these fields, by its name in ``FAULTS`` or without one.

        Such as ``fault("no answer", operation="cancel", call=2)``.
        """
        self.fail(make_fault({"name": name, **fields}))

    def start(self) -> None:
        """Start the server. An OSError most likely means that the port is in use."""
        if self._thread is not None:
            raise RuntimeError("the sandbox is already started")
        host, port = self._address
        listener = _listener(host, port)
        port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if 'ssl_certfile' in self._server_options else 'http'}://{shown}:{port}"
        self._runner = asyncio.Runner(loop_factory=_new_loop)
        refused = self._connections.begin(self._runner.get_loop())
        if refused:
            listener.close()
        self._thread = threading.Thread(
            target=self._serve, args=(listener, (host, port), refused), name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the server at once, even if clients are still connected."""
        if self._thread is None:
            return
        self._connections.order(None)
        self._thread.join()
        self._thread = None
        self._connections.end()

    def _serve(self, *start: Any) -> None:
        with self._runner:  # closed in this thread: a loop of the caller may be running in the other
            self._runner.run(self._listen(*start))

    async def _listen(self, listener: socket, address: tuple[str, int], refused: float | None) -> None:
        """Serve until the sandbox stops, with pauses in which connections are refused."""
        while refused is not None:
            if refused > 0:
                refused = await self._connections.refused(refused)
            elif listener.fileno() >= 0:
                refused = await self._accept(listener)
            else:
                try:
                    listener = _listener(*address)
                except OSError:
                    refused = _AGAIN
        listener.close()

    async def _accept(self, listener: socket) -> float | None:
        """Serve until connections are to be refused; return for how long, or None to stop."""
        connections = self._connections
        connections.listener = listener
        connections.server = server = uvicorn.Server(uvicorn.Config(self._answer, **self._server_options))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        seconds, done = await connections.accepted()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        # First no new clients, then none at all: uvicorn itself would wait for them. One that was just accepted
        # needs a moment to get a transport; without one its connection would stay open and get no answer.
        with contextlib.suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().remove_reader(listener.fileno())
        await asyncio.sleep(_ACCEPTING)
        for each in getattr(server, "servers", ()):
            each.close()
        listener.close()
        connections.abort()
        await asyncio.sleep(0)  # what closes them is called soon
        done.set()
        if server.server_state.tasks:
            await asyncio.wait(server.server_state.tasks, timeout=1)
        return seconds

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by the state that the sandbox has when the request comes."""
        await self._app(scope, receive, send)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def serve(self) -> None:
        """Run in the foreground, from the main thread, until SIGINT or SIGTERM. Raises as ``start`` does."""
        stopping = threading.Event()
        before = {each: signal.signal(each, lambda *_: stopping.set()) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            with self:
                print(self._welcome(), flush=True)  # noqa: T201 - in the foreground
                # With a timeout, since a wait without one blocks signals on Windows.
                while not stopping.wait(1):
                    pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _welcome(self) -> str:
        any_key = ("any API key will do", "any")
        accepted, key = any_key if self._key is None else ("only the key that you chose is accepted", "<your key>")
        text = _WELCOME.format(url=self.url, accepted=accepted, key=key)
        if any(batch.id == DOCUMENTED_ID for batch in self.account.batches()):
            text += _DOCUMENTED
        return f"{text}Ctrl-C stops it."


_WELCOME = """\
A sandbox of the Message Batches API runs at {url}
Everything in it is simulated, Claude too, and {accepted}.
In another terminal:

  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}
  cancel-message-batch list
  cancel-message-batch ask "cancel my newest batch"
"""
_DOCUMENTED = f"""\
  cancel-message-batch {DOCUMENTED_ID}

That last batch is the one of the API's examples: its cancel is accepted,
but it never ends. The others do.
"""
