"""The relay on loopback: it passes a command's requests on to one API, and notes the batches created through it.

uvicorn reads the requests and httpx2 sends them, so proxies and certificates are those of the official SDK. Bodies pass
in pieces and stay encoded as they are. The relay adds no credential, so nobody else gains anything by using its port.
"""

import asyncio
import contextlib
import json
import posixpath
import re
import sys
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from threading import Thread
from typing import Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

import anyio
import httpx2
import uvicorn
from anyio.streams.memory import MemoryObjectSendStream
from httpx2 import Headers, Limits, Timeout

from cancel_message_batch.api.client import build_client
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import clean

from .created import Created

_CLOSING_SECONDS = 0.2  # for the connections of a process that has just ended
_BATCHES = re.compile(r"/*(.*)/messages/batches(?:/([\w-]+)(?:/cancel)?)?", re.DOTALL)

# They hold for one connection only (RFC 9110, section 7.6.1), where bodies are framed anew and uvicorn answers Expect.
_HOP_BY_HOP = ["connection", "expect", "http2-settings", "keep-alive", "proxy-authorization", "proxy-connection", "te"]
_HOP_BY_HOP += ["trailer", "transfer-encoding", "upgrade"]

# h11 reads requests more strictly than httptools, and httpx2 brings it.
_SERVER_OPTIONS: Any = {"http": "h11", "interface": "asgi3", "lifespan": "off", "ws": "none", "log_config": None}
_SERVER_OPTIONS |= {"log_level": "critical", "server_header": False, "date_header": False, "workers": 1}
_SERVER_OPTIONS |= {
    "timeout_keep_alive": 86_400,
    "timeout_graceful_shutdown": 0,
    "h11_max_incomplete_event_size": 2**16,
}

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Pieces = MemoryObjectSendStream[bytes]


class Relay:
    """Passes requests on to one API. ``note`` is called with each batch created, before the client has the response.

    ``url`` is the base URL for clients: with the path and the user name of the API's, so that they send the same as
    without the relay. ``created`` holds the batches by id, ``lost`` those that may exist with an id that is not known.
    """

    def __init__(self, base_url: str, note: Callable[[Created], object]) -> None:
        self.created: dict[str, Created] = {}
        self.lost: list[Created] = []
        self._creating: list[Created] = []
        self._note = note
        parts = urlsplit(base_url)
        userinfo, at, place = parts.netloc.rpartition("@")
        self._origin = f"{parts.scheme}://{place}"
        timeout, limits = Timeout(None, connect=10.0), Limits()  # the clients have their own
        self._client = build_client(httpx2.AsyncClient, timeout=timeout, limits=limits)
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

            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            limit = 10_240 if hard == resource.RLIM_INFINITY else hard  # macOS takes no higher one
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
        self._thread.start()

    def stop(self, seconds: float) -> int:
        """Stop once no create is under way, or after so many seconds; returns how many connections were still held."""
        if not self._thread.is_alive():
            return 0
        connections = self._server.server_state.connections
        for limit, waiting in ((seconds, self._creating), (_CLOSING_SECONDS, connections)):
            end = time.monotonic() + limit
            while waiting and time.monotonic() < end:
                time.sleep(0.01)
        held = max(0, len(connections) - len(self._creating))
        self._server.should_exit = True
        self._thread.join()
        return held

    async def _serve(self) -> None:
        # Connections beyond the limit of open files wait. asyncio would print a traceback for each.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with self._client:
            await self._server.serve(sockets=[self._listener])

    async def _respond(self, scope: Any, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if fault := self._fault(scope):
            await _refuse(send, 403, fault)
            return
        batch = self._batch(scope["method"], scope["path"])
        pieces, body = anyio.create_memory_object_stream[bytes]()
        try:
            async with pieces, body, anyio.create_task_group() as tasks:
                tasks.start_soon(_read, receive, pieces, batch, tasks.cancel_scope.cancel)
                await self._exchange(scope, body, send, batch)
                tasks.cancel_scope.cancel()
        finally:
            if batch in self._creating:
                self._creating.remove(batch)
                self.lost += [batch] if batch.sent and not batch.answered else []

    def _fault(self, scope: Any) -> str:
        """Return why a request is refused: a web page whose name leads here may have sent it (DNS rebinding)."""
        hosts = {value.lower() for name, value in scope["headers"] if name == b"host"}
        if not hosts <= self._hosts:  # only HTTP/1.0 does without one
            return "The Host header is not the address of this relay."
        return "" if scope["raw_path"].startswith(b"/") else "Only paths of the API are passed on."

    def _batch(self, method: str, path: str) -> Created | None:
        """Return the batch that a request creates, or that was created and the request is about."""
        match = _BATCHES.fullmatch(posixpath.normpath(path))  # as the API may read it
        if not match or match[2] or method != "POST":
            return self.created.get(match[2]) if match else None
        batch = Created(f"{self._origin}/{quote(match[1])}".rstrip("/"))
        self._creating.append(batch)
        return batch

    async def _exchange(self, scope: Any, body: AsyncIterable[bytes], send: Send, batch: Created | None) -> None:
        headers = _passed_on(scope["headers"])
        headers.pop("host", None)
        if batch:
            headers["accept-encoding"] = "identity"  # another coding may be unknown here
        has_body = {b"content-length", b"transfer-encoding"} & {name for name, _ in scope["headers"]}
        content = body if has_body else None
        target = {"target": scope["raw_path"] + b"?" * bool(scope["query_string"]) + scope["query_string"]}
        request = httpx2.Request(scope["method"], self._origin, headers=headers, content=content, extensions=target)
        try:
            async with contextlib.aclosing(await self._client.send(request, stream=True)) as response:
                await self._pass_back(response, send, batch)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            why = clean(str(error)) or "no connection in time"
            await _refuse(send, 502, f"{self._origin} cannot be reached ({why}). Nothing was sent.")
        except httpx2.HTTPError as error:
            why = clean(str(error)) or "it broke the connection"
            await _refuse(send, 502, f"{self._origin} did not respond ({why}). The request may have arrived.")

    async def _pass_back(self, response: httpx2.Response, send: Send, batch: Created | None) -> None:
        """Pass a response back. One about a batch is read before the client has it."""
        headers = _passed_on(response.headers.raw)
        whole = b"".join([piece async for piece in response.aiter_raw()]) if batch else b""
        if batch and batch.learn(response, whole):
            self.created[batch.message_batch_id] = batch
            await asyncio.to_thread(self._note, batch)
        if response.next_request:  # a redirect
            url = response.next_request.url
            if origin(str(url)) == origin(self._origin):
                if httpx2.URL(headers["location"]).host:
                    headers["location"] = f"http://{self._place}{url.raw_path.decode()}"
            elif batch in self._creating and response.status_code in {307, 308}:
                fault = "The API redirects this to another server, where `run` could not see the batch: "
                await _refuse(send, 403, fault + "set ANTHROPIC_BASE_URL to that server.")
                return
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers.raw})
        if not batch:
            try:
                async for piece in response.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except httpx2.HTTPError:  # without its end, uvicorn closes the connection
                return
        await send({"type": "http.response.body", "body": whole})


async def _read(receive: Receive, pieces: Pieces, batch: Created | None, hang_up: Callable[[], object]) -> None:
    """Read a request, and hang up when the client does, unless the response is to say what became of a batch."""
    while (message := await receive())["type"] != "http.disconnect":
        if message["body"]:
            with contextlib.suppress(anyio.BrokenResourceError):  # the API has answered before the end
                await pieces.send(message["body"])
        if batch:
            batch.count(message["body"])
            batch.sent = not message["more_body"]
        if not message["more_body"]:
            pieces.close()
    if not (batch and batch.sent):
        hang_up()


def _passed_on(raw: list[tuple[bytes, bytes]]) -> Headers:
    """Return headers without those that hold for one connection only."""
    headers = Headers(raw)
    if "transfer-encoding" in headers:  # it says where the body ends (RFC 9112, section 6.3)
        headers.pop("content-length", None)
    for name in [*headers.get("connection", "").split(","), *_HOP_BY_HOP]:
        headers.pop(name.strip(), None)
    return headers


async def _refuse(send: Send, status: int, message: str) -> None:
    """Respond in the API's own form."""
    kind = "permission_error" if status == 403 else "api_error"
    error = {"type": kind, "message": f"cancel-message-batch run: {message}"}
    body = json.dumps({"type": "error", "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
