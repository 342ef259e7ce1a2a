"""The relay on loopback: it passes a command's requests on to one API, and notes the batches created through it.

uvicorn reads the requests and httpx2 sends them, so proxies and certificates are those of the official SDK. Bodies pass
in pieces and stay encoded as they are. No credential is added, so whoever else finds the port gains nothing by it.
"""

import asyncio
import contextlib
import json
import posixpath
import re
import sys
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from threading import Thread
from typing import Any, Self
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import anyio
import anyio.to_thread
import httpx2
import uvicorn
from anyio.streams.memory import MemoryObjectSendStream

from cancel_message_batch.api.client import build_client
from cancel_message_batch.api.credentials import borrowed, origin
from cancel_message_batch.api.errors import clean

from .created import Created

_CONNECT_SECONDS = 10.0
_CLOSING_SECONDS = 0.2  # for the connections of a process that has just ended
_BATCHES = re.compile(r"/*(.*)/messages/batches(?:/([\w-]+)(?:/cancel)?)?", re.DOTALL)

# They hold for one connection only (RFC 9110, section 7.6.1), where bodies are framed anew and uvicorn answers Expect.
_HOP_BY_HOP = {b"connection", b"expect", b"http2-settings", b"keep-alive", b"proxy-authorization", b"proxy-connection"}
_HOP_BY_HOP |= {b"te", b"trailer", b"transfer-encoding", b"upgrade"}

# h11 reads requests more strictly than httptools, and httpx2 brings it.
_SERVER_OPTIONS: Any = {"http": "h11", "interface": "asgi3", "lifespan": "off", "ws": "none", "log_config": None}
_SERVER_OPTIONS |= {"log_level": "critical", "server_header": False, "date_header": False}
_SERVER_OPTIONS |= {
    "h11_max_incomplete_event_size": 2**16,
    "timeout_keep_alive": 86_400,
    "timeout_graceful_shutdown": 0,
}

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Relay:
    """Passes requests on to one API.

    Args:
        base_url: Where the API is, as ANTHROPIC_BASE_URL would say it.
        note: Called with each batch that is created, before the client has the response.

    Attributes:
        url: The base URL for clients: the same path and user name, so that they send the same as without the relay.
        created: The batches that were created, by id.
        lost: The creates that may have made a batch whose id is not known.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, base_url: str, note: Callable[[Created], object]) -> None:
        self.created: dict[str, Created] = {}
        self.lost: list[Created] = []
        self._creating: list[Created] = []
        self._note = note
        parts = urlsplit(base_url)
        userinfo, at, place = parts.netloc.rpartition("@")
        self._origin = f"{parts.scheme}://{place}"
        timeout = httpx2.Timeout(None, connect=_CONNECT_SECONDS)  # the clients have theirs
        connection = borrowed(self._origin, {})
        self._client = build_client(httpx2.AsyncClient, connection, timeout=timeout, limits=httpx2.Limits())
        self._listener = create_server(("127.0.0.1", 0), backlog=2048)
        # asyncio does this for the sockets that it opens itself. Without it, each response takes 40 ms longer.
        self._listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        port = self._listener.getsockname()[1]
        self._place, self._hosts = f"127.0.0.1:{port}", {b"127.0.0.1:%d" % port, b"localhost:%d" % port}
        self.url = urlunsplit(("http", f"{userinfo}{at}{self._place}", parts.path, "", ""))
        self._server = uvicorn.Server(uvicorn.Config(self._respond, **_SERVER_OPTIONS))
        self._thread = Thread(target=anyio.run, args=(self._serve,), name="relay", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop(0)
        self._listener.close()

    def start(self) -> None:
        """Serve the clients, also those that have connected before."""
        if sys.platform != "win32":  # each client needs two open files; the command keeps the limit it started with
            import resource

            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._thread.start()

    def stop(self, seconds: float) -> int:
        """Stop, once the creates under way have their responses or so many seconds have passed.

        Returns:
            The number of connections that clients still held.
        """
        if not self._thread.is_alive():
            return 0
        connections = self._server.server_state.connections
        for limit, waiting in ((seconds, self._creating), (_CLOSING_SECONDS, connections)):
            end = time.monotonic() + limit
            while waiting and time.monotonic() < end:
                time.sleep(0.01)
        held = len(connections) - len(self._creating)
        self._server.should_exit = True
        self._thread.join()
        return held

    async def _serve(self) -> None:
        # Connections beyond the limit of open files wait. asyncio would print a traceback for each.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with self._client:
            await self._server.serve(sockets=[self._listener])

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if fault := self._fault(scope):
            await _refuse(send, 403, fault)
            return
        batch = self._batch(scope["method"], scope["path"])
        pieces, body = anyio.create_memory_object_stream[bytes]()
        try:
            with pieces, body:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_read, receive, pieces, batch, tasks.cancel_scope)
                    await self._exchange(self._request(scope, body, batch), send, batch)
                    tasks.cancel_scope.cancel()
        finally:
            if batch in self._creating:
                self._creating.remove(batch)
                self.lost += [batch] if batch.lost else []

    def _fault(self, scope: Scope) -> str:
        """Say why a request is not passed on: it may come from a web page whose name leads here (DNS rebinding)."""
        hosts = {value.lower() for name, value in scope["headers"] if name == b"host"}
        if not hosts <= self._hosts or not (hosts or scope["http_version"] == "1.0"):
            return "The Host header is not the address of this relay."
        return "" if scope["raw_path"].startswith(b"/") else "Only paths of the API are passed on."

    def _batch(self, method: str, path: str) -> Created | None:
        """Return the batch that a request creates, or that was created and the request is about."""
        match = _BATCHES.fullmatch(posixpath.normpath(path))  # as the API may read it
        if not match or match[2] or method != "POST":
            return self.created.get(match[2]) if match else None
        batch = Created(f"{self._origin}/{quote(match[1])}")
        self._creating.append(batch)
        return batch

    def _request(self, scope: Scope, body: AsyncIterable[bytes], batch: Created | None) -> httpx2.Request:
        """Build the request to the API."""
        headers = _passed_on(scope["headers"], b"host", *([b"accept-encoding"] if batch else []))
        if batch:
            headers.append((b"accept-encoding", b"identity"))  # another coding may be unknown here
        has_body = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
        extensions = {"target": scope["raw_path"] + b"?" * bool(scope["query_string"]) + scope["query_string"]}
        content = body if has_body else None
        return httpx2.Request(scope["method"], self._origin, headers=headers, content=content, extensions=extensions)

    async def _exchange(self, request: httpx2.Request, send: Send, batch: Created | None) -> None:
        """Send a request to the API, and pass its response back."""
        try:
            async with aclosing(await self._client.send(request, stream=True)) as response:
                await self._pass_back(response, send, batch)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            why = clean(str(error)) or "no connection in time"
            await _refuse(send, 502, f"{self._origin} cannot be reached ({why}). Nothing was sent.")
        except httpx2.HTTPError as error:
            why = clean(str(error)) or type(error).__name__
            await _refuse(send, 502, f"{self._origin} broke the connection ({why}). The request may have arrived.")

    async def _pass_back(self, response: httpx2.Response, send: Send, batch: Created | None) -> None:
        """Pass a response back. One about a batch is read before the client has it."""
        headers = _passed_on(response.headers.raw)
        if response.has_redirect_location:
            location = self._location(response.headers["location"])
            if location is None and batch in self._creating and response.status_code in {307, 308}:
                fault = "The API redirects this to another server, where `run` could not see the batch: "
                await _refuse(send, 403, fault + "set ANTHROPIC_BASE_URL to that server.")
                return
            headers = [(n, location if location and n.lower() == b"location" else value) for n, value in headers]
        start = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        if batch:
            whole, known = b"".join([piece async for piece in response.aiter_raw()]), bool(batch.message_batch_id)
            batch.learn(response, whole)
            if batch.message_batch_id and not known:
                self.created[batch.message_batch_id] = batch
                await anyio.to_thread.run_sync(self._note, batch)
            await send(start)
            await send({"type": "http.response.body", "body": whole})
            return
        await send(start)
        with contextlib.suppress(httpx2.HTTPError):  # without its end, uvicorn closes the connection
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})

    def _location(self, location: str) -> bytes | None:
        """Return where a redirect leads if it goes through the relay; None for another server."""
        with contextlib.suppress(ValueError):
            parts = urlsplit(location)
            if not parts.netloc:
                return location.encode()
            if origin(urljoin(self._origin, location)) == origin(self._origin):
                return urlunsplit(("http", self._place, *parts[2:])).encode()
        return None


async def _read(
    receive: Receive, pieces: MemoryObjectSendStream[bytes], batch: Created | None, exchange: anyio.CancelScope
) -> None:
    """Read a request to its end, and end the exchange when the client hangs up; what creates a batch goes on."""
    whole = False
    while (message := await receive())["type"] != "http.disconnect":
        if message["body"]:
            with contextlib.suppress(anyio.BrokenResourceError):  # the API has answered before the end
                await pieces.send(message["body"])
        if batch and not batch.message_batch_id:
            batch.count(message["body"])
            batch.lost = not message["more_body"]
        if not message["more_body"]:
            whole = True
            pieces.close()
    if not (batch and whole):
        exchange.cancel()


def _passed_on(headers: Headers, *others: bytes) -> Headers:
    """Return headers without those that hold for one connection, and without some others."""
    names = {name.lower() for name, _ in headers}
    listed = b",".join(value for name, value in headers if name.lower() == b"connection").lower().split(b",")
    dropped = {word.strip() for word in listed} - {b"content-length"} | _HOP_BY_HOP | {*others}
    if b"transfer-encoding" in names:  # it says where the body ends (RFC 9112, section 6.3)
        dropped.add(b"content-length")
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _refuse(send: Send, status: int, message: str) -> None:
    """Respond in the API's own form."""
    kind = "permission_error" if status == 403 else "api_error"
    error = {"type": kind, "message": f"cancel-message-batch run: {message}"}
    body = json.dumps({"type": "error", "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
