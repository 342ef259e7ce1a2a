"""The relay on loopback: it passes a command's requests on to one API, and notes the batches created through it.

uvicorn reads the requests and httpx2 sends them, so proxies and certificates are those of the official SDK. Bodies pass
in pieces and stay encoded as they are, except that a ``results_url`` leads through the relay too.

Only who knows the token in the relay's path may use it: no other user of this machine, and no web page. The command's
credentials may be stand-ins, which the relay alone exchanges for the real ones. So whoever listens at the port once the
relay is gone learns nothing of worth from the processes that still send there.
"""

import asyncio
import contextlib
import json
import posixpath
import re
import secrets
import sys
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from socket import IPPROTO_TCP, TCP_NODELAY, create_server
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import anyio
import httpx2
import uvicorn
from anyio.streams.memory import MemoryObjectSendStream
from httpx2 import Headers, Limits, Timeout

from cancel_message_batch.api.client import build_client
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import clean

from .created import Created
from .keeping import HEADER, NOT_PASSED_ON, PATH, TOO_LATE

_CLOSING_SECONDS = 2.0  # at most, for the connections of a process that has just ended
_NOTING_SECONDS = 0.5  # that a create waits for the record
_PASSING_ON_SECONDS = 2.0  # for another `run` around this one; a guard waits longer
_BATCHES = re.compile(r"/*(.*)/messages/batches(?:/([\w-]+)(?:/cancel)?)?", re.DOTALL)
_RESULTS_URL = re.compile(rb'("results_url"\s*:\s*)("(?:[^"\\]|\\.)*")')

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
    """Passes requests on to one API.

    ``note`` is called with each batch before its create request is sent whole, and again once it is known what came of
    it, before the client has the response: one call at a time, with all batches that came meanwhile, and a create does
    not wait long for it. It returns whether it could note them; if not, they are in its next call too. ``stand_ins``
    holds the real one of each credential that the command was given. ``token`` is what the path begins with.

    A guard in the command says here which batches it keeps (``keeping.py``). Those have ``kept``.

    ``url`` is the base URL for clients: with the path and the user name of the API's, so that they send the same as
    without the relay. ``created`` holds the batches by id, ``lost`` those that may exist with an id that is not known.
    ``requests`` counts what came through. An OSError says that the port cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        note: Callable[[Sequence[Created]], bool],
        *,
        stand_ins: Mapping[str, str] | None = None,
        port: int = 0,
        token: str = "",
    ) -> None:
        self.created: dict[str, Created] = {}
        self.lost: list[Created] = []
        self.requests = 0
        self._awaited: list[Created] = []  # with a create or a cancel under way
        self._note = note
        self._notes = ThreadPoolExecutor(1)
        self._unnoted: dict[Created, None] = {}  # in this order
        self._lock = Lock()
        self._command_ended = False
        self.stand_ins = stand_ins or {}
        parts = urlsplit(base_url)
        userinfo, at, place = parts.netloc.rpartition("@")
        self._origin = f"{parts.scheme}://{place}"
        self._base = parts.path.rstrip("/").encode()
        timeout, limits = Timeout(None, connect=10.0), Limits()  # the clients have their own
        self._client = build_client(httpx2.AsyncClient, timeout=timeout, limits=limits)
        self._listener = create_server(("127.0.0.1", port), backlog=2048)
        # asyncio does this for the sockets that it opens itself. Without it, each response takes 40 ms longer.
        self._listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        port = self._listener.getsockname()[1]
        self._hosts = {b"127.0.0.1:%d" % port, b"localhost:%d" % port}
        self._token = f"/{token or secrets.token_urlsafe(24)}"
        self._root = f"http://127.0.0.1:{port}{self._token}"
        self.url = urlunsplit(("http", f"{userinfo}{at}127.0.0.1:{port}", f"{self._token}{parts.path}", "", ""))
        self._clients: set[Any] = set()  # the addresses of those that know the token
        self._server = uvicorn.Server(uvicorn.Config(self._respond, **_SERVER_OPTIONS))
        self._thread = Thread(target=anyio.run, args=(self._serve,), name="relay", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop(0)
        self._listener.close()
        self._notes.shutdown(wait=False)

    def start(self) -> None:
        """Serve the clients, also those that have connected before."""
        if sys.platform != "win32":  # each client needs two open files; the command keeps the limit it started with
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            limit = 10_240 if hard == resource.RLIM_INFINITY else hard  # macOS takes no higher one
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
        self._thread.start()

    def end_of_command(self) -> None:
        """From now on, ``kept`` of no batch changes: whoever wants to keep one is told that it is too late."""
        with self._lock:
            self._command_ended = True

    def wait(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> int:
        """Wait until no create or cancel is under way, for so many seconds at most; returns how many still are."""
        end = time.monotonic() + seconds
        while self._awaited and time.monotonic() < end and not given_up():
            time.sleep(0.01)
        return len(self._awaited)

    def stop(self, seconds: float) -> int:
        """Stop once no create or cancel is under way, or after so many seconds.

        Returns how many connections its clients still held.
        """
        if not self._thread.is_alive():
            return 0
        self.wait(seconds)
        end = time.monotonic() + _CLOSING_SECONDS
        while self._connections() and time.monotonic() < end:
            time.sleep(0.01)
        held = max(0, len(self._connections()) - len(self._awaited))
        self._server.should_exit = True
        self._thread.join()
        return held

    def finish_notes(self, seconds: float, last: Callable[[], object] = lambda: None) -> bool:
        """Note what is known by now about all batches, and call ``last`` after that, all in another thread.

        Returns whether that took no longer than so many seconds.
        """
        self._note_soon(*self.created.values())
        try:
            self._notes.submit(last).result(seconds)
        except TimeoutError:
            return False
        return True

    def _connections(self) -> list[Any]:
        """Return the open connections of clients; not those that others opened."""
        return [
            one for one in list(self._server.server_state.connections) if getattr(one, "client", None) in self._clients
        ]

    async def _serve(self) -> None:
        # Connections beyond the limit of open files wait. asyncio would print a traceback for each.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with self._client:
            await self._server.serve(sockets=[self._listener])

    async def _respond(self, scope: Any, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if fault := self._fault(scope):
            await _refuse(send, *fault)
            return
        self.requests += 1
        self._clients.add(tuple(scope["client"]))
        path = scope["raw_path"].removeprefix(self._token.encode())
        if PATH in path:
            await self._keep(path.removeprefix(PATH).decode("latin-1"), send)
            return
        target = self._target(path)
        match = _BATCHES.fullmatch(posixpath.normpath(unquote(target.decode("latin-1"))))  # as the API may read it
        batch = self.created.get(match[2] or "") if match else None
        if match and scope["method"] == "POST" and not match[2]:
            batch = Created(f"{self._origin}/{quote(match[1])}".rstrip("/"))
        if batch and scope["method"] == "POST":
            self._awaited.append(batch)
        target += b"?" * bool(scope["query_string"]) + scope["query_string"]
        pieces, body = anyio.create_memory_object_stream[bytes]()
        try:
            async with pieces, body, anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, receive, pieces, batch, tasks.cancel_scope.cancel)
                await self._exchange(scope, target, body, send, batch, about_batches=bool(match))
                tasks.cancel_scope.cancel()
        finally:
            if batch in self._awaited:
                self._awaited.remove(batch)
                batch.over = True
                if not batch.message_batch_id:
                    self.lost += [batch] if batch.sent and not batch.answered else []
                    self._note_soon(batch)

    def _fault(self, scope: Any) -> tuple[int, str] | None:
        """Return why a request is refused: a web page whose name leads here may have sent it (DNS rebinding)."""
        hosts = {value.lower() for name, value in scope["headers"] if name == b"host"}
        if not hosts <= self._hosts:  # only HTTP/1.0 does without one
            return 403, "The Host header is not the address of this relay."
        if not scope["raw_path"].startswith(b"/"):
            return 403, "Only paths of the API are passed on."
        token, given = self._token.encode(), b"/" + scope["raw_path"].split(b"/")[1]
        if not secrets.compare_digest(token, given):
            return 404, "This is another run's address. Take the base URL from ANTHROPIC_BASE_URL, with its whole path."
        return None

    async def _keep(self, message_batch_id: str, send: Send) -> None:
        """Keep a batch, and have each `run` around this one keep it, whether or not the record can be written."""
        batch = self.created.get(message_batch_id)
        if batch is None:
            await _refuse(send, 404, "The command has created no such batch.")
            return
        with self._lock:
            batch.kept |= not self._command_ended
        if not batch.kept:
            await _refuse(send, TOO_LATE, "The command has already ended.")
            return
        self._note_soon(batch)
        if batch.keep_url:
            try:
                around = await self._client.post(batch.keep_url, timeout=_PASSING_ON_SECONDS)
                around.raise_for_status()
            except httpx2.HTTPError:
                await _refuse(send, NOT_PASSED_ON, "Another `run` around this one could not be told.")
                return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _target(self, path: bytes) -> bytes:
        """Return the path at the API. Programs take a base URL for one with /v1, or for one without."""
        rest = path.removeprefix(self._base)
        if (rest == path and self._base) or not re.match(rb"(/v1)?/messages(/|$)", rest):
            return path or b"/"
        if re.search(rb"/(v\d+|\d+(\.\d+)+)$", self._base):
            return self._base + (rest.removeprefix(b"/v1") if self._base.endswith(b"/v1") else rest)
        return self._base + b"/v1" * rest.startswith(b"/messages") + rest

    async def _exchange(
        self,
        scope: Any,
        target: bytes,
        body: AsyncIterable[bytes],
        send: Send,
        batch: Created | None,
        *,
        about_batches: bool,
    ) -> None:
        headers = _passed_on([(name, self._real(value)) for name, value in scope["headers"]])
        headers.pop("host", None)
        if about_batches:
            headers["accept-encoding"] = "identity"  # another coding may be unknown here
        has_body = {b"content-length", b"transfer-encoding"} & {name for name, _ in scope["headers"]}
        content = body if has_body else None
        extensions = {"target": target}
        request = httpx2.Request(scope["method"], self._origin, headers=headers, content=content, extensions=extensions)
        try:
            async with contextlib.aclosing(await self._client.send(request, stream=True)) as response:
                await self._pass_back(response, send, batch, about_batches=about_batches)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            why = clean(str(error)) or "no connection in time"
            await _refuse(send, 502, f"{self._origin} cannot be reached ({why}). Nothing was sent.")
        except httpx2.HTTPError as error:
            why = clean(str(error)) or "it broke the connection"
            await _refuse(send, 502, f"{self._origin} did not respond ({why}). The request may have arrived.")

    def _real(self, value: bytes) -> bytes:
        for stand_in, real in self.stand_ins.items():
            value = value.replace(stand_in.encode(), real.encode())
        return value

    async def _pass_back(
        self, response: httpx2.Response, send: Send, batch: Created | None, *, about_batches: bool
    ) -> None:
        """Pass a response back. One about batches is read before the client has it."""
        headers = _passed_on(response.headers.raw)
        headers.pop(HEADER, None)  # of another `run` around this one
        whole = b"".join([piece async for piece in response.aiter_raw()]) if about_batches else b""
        if batch and batch.learn(response, whole):
            earlier = self.created.get(batch.message_batch_id)  # with the same idempotency key
            batch.kept = earlier is not None and earlier.kept
            self.created[batch.message_batch_id] = batch
            headers[HEADER] = f"{self._token}{PATH.decode()}{batch.message_batch_id}"
            await self._noted(batch)
        if about_batches and not response.headers.get("content-encoding"):
            before, whole = whole, _RESULTS_URL.sub(self._through_us, whole)
            if whole != before and "content-length" in headers:
                headers["content-length"] = str(len(whole))
        if response.next_request:  # a redirect
            url = response.next_request.url
            if origin(str(url)) == origin(self._origin):
                headers["location"] = f"{self._root}{url.raw_path.decode()}"
            elif batch and not batch.message_batch_id and response.status_code in {307, 308}:
                fault = "The API redirects this to another server, where `run` could not see the batch: "
                await _refuse(send, 403, fault + "set ANTHROPIC_BASE_URL to that server.")
                return
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers.raw})
        if not about_batches:
            try:
                async for piece in response.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except httpx2.HTTPError:  # without its end, uvicorn closes the connection
                return
        await send({"type": "http.response.body", "body": whole})

    def _through_us(self, found: re.Match[bytes]) -> bytes:
        """Return a results_url of the API as the command reaches it: some send no key to another origin."""
        with contextlib.suppress(ValueError):
            url = json.loads(found[2])
            if origin(url) == origin(self._origin):
                parts = urlsplit(url)
                return found[1] + json.dumps(self._root + urlunsplit(("", "", *parts[2:]))).encode()
        return found[0]

    async def _noted(self, batch: Created) -> None:
        """Note a batch; a record that is locked is waited for in another thread, and not for long here."""
        noting = asyncio.wrap_future(self._note_soon(batch))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(noting), _NOTING_SECONDS)

    def _note_soon(self, *batches: Created) -> "Future[None]":
        """Note batches in another thread, each as it is by then."""
        with self._lock:
            self._unnoted.update(dict.fromkeys(batches))
        return self._notes.submit(self._note_all)

    def _note_all(self) -> None:
        with self._lock:
            batches, self._unnoted = list(self._unnoted), {}
        if batches and not self._note(batches):
            with self._lock:
                self._unnoted.update(dict.fromkeys(batches))

    async def _read(
        self, receive: Receive, pieces: Pieces, batch: Created | None, hang_up: Callable[[], object]
    ) -> None:
        """Read a request, and hang up when the client does, unless the response is to say what became of a batch."""
        creating, held = batch is not None and not batch.message_batch_id, b""
        while (message := await receive())["type"] != "http.disconnect":
            piece, last = message["body"], not message["more_body"]
            if batch and creating:
                batch.count(piece)
                if last:
                    await self._noted(batch)
                    piece = held + piece
                else:  # the last piece waits until the batch is noted
                    piece, held = held, piece
            if piece:
                with contextlib.suppress(anyio.BrokenResourceError):  # the API has answered before the end
                    await pieces.send(piece)
            if batch:
                batch.sent = last
            if last:
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
    kind = {403: "permission_error", 404: "not_found_error"}.get(status, "api_error")
    error = {"type": kind, "message": f"cancel-message-batch run: {message}"}
    body = json.dumps({"type": "error", "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
