"""One exchange over httpx2, which ends at its deadline; sync and async. Nothing here knows the API."""

import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import Any, NamedTuple, TypeVar

from httpx2 import USE_CLIENT_DEFAULT, AsyncClient, Client, DecodingError, RemoteProtocolError, Request, Response

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
_LONGEST_ANSWER = 32 * 2**20  # bytes; a page of 1,000 batches is about half a MiB
_PIECE = 2**20  # bytes read from a socket, or unpacked, at once: each piece costs the HTTP client several copies

Result = TypeVar("Result")


class Answer(NamedTuple):
    """A response that was read to its end."""

    request: Request
    response: Response
    body: bytes


def unpacked(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the bytes that arrived in a content coding.

    The HTTP client's own decoder takes a gzip stream that ends early for a complete one.
    """
    if coding in {"", "identity"}:
        yield from pieces
        return
    if coding not in {"gzip", "x-gzip"}:
        raise DecodingError("a content coding that was not asked for")
    decoder = zlib.decompressobj(31)
    packed = False
    for piece in pieces:
        left = piece
        while left:
            if decoder.eof:  # gzip allows several members, one after the other
                decoder = zlib.decompressobj(31)
            packed = True
            try:
                if plain := decoder.decompress(left, _PIECE):
                    yield plain
            except zlib.error as error:
                raise DecodingError("not gzip") from error
            left = decoder.unconsumed_tail or decoder.unused_data
    if packed and not decoder.eof:
        raise RemoteProtocolError("the compressed answer is cut short")


def _add(chunk: bytes, body: bytearray, deadline: float) -> None:
    body += chunk
    if len(body) > _LONGEST_ANSWER:
        raise DecodingError("the answer does not end")
    if time.monotonic() > deadline:
        raise TimeoutError


def _timeouts(deadline: float) -> dict[str, float]:
    """Return the HTTP client's own timeouts for an exchange that ends at the deadline."""
    left = max(deadline - time.monotonic(), 0.001)
    read = min(READ_TIMEOUT, left)
    return {"connect": min(CONNECT_TIMEOUT, left), "read": read, "write": read, "pool": read}


class _ReadTimeout(float):
    """The seconds that one read may take, with the time at which all reads of its exchange must be over."""

    deadline: float


def _bound_reads(event: str, info: dict[str, Any]) -> None:
    """Let the reads of a new connection end with the deadline of their exchange (httpcore2: the trace extension)."""
    if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
        stream = info["return_value"]
        stream.read = partial(_read, stream.read)


def _read(read: Callable[..., bytes], max_bytes: int, timeout: float | None = None) -> bytes:
    if isinstance(timeout, _ReadTimeout) and (timeout := min(timeout, timeout.deadline - time.monotonic())) <= 0:
        raise TimeoutError
    return read(max(max_bytes, _PIECE), timeout)


def _in_thread(work: Callable[[], Result], deadline: float) -> Result:
    """Do work in a thread, which is abandoned at the deadline."""
    from concurrent.futures import Future  # only a caller's client needs it
    from contextvars import copy_context

    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised by result()
            future.set_exception(error)

    def close(late: Future[Result]) -> None:
        if not late.exception() and isinstance(response := late.result(), Response):
            response.close()

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    try:
        return future.result(min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX))
    except BaseException:
        future.add_done_callback(close)
        raise


class BlockingTransport:
    """Sends over a sync client, and abandons an exchange at its deadline.

    The HTTP client's own timeout is for one read, so a server that sends a byte now and then, or a status 100 again
    and again, would never time out. On the connections of our own client, each read ends at the deadline. A caller's
    client and its connections are not changed: a thread sends over it, and is abandoned at the deadline.
    """

    def __init__(self, client: Client, *, own: bool) -> None:
        self.client = client
        self.own = own

    async def send(self, request: Request, deadline: float, auth: Any) -> Answer:
        """Send a request and read the whole answer."""
        return self._until(deadline, request, lambda: self._whole(request, self._send(request, auth), deadline))

    def stream(self, request: Request, deadline: float, auth: Any) -> Iterator[Answer | bytes]:
        """Send a request; yield an answer that is not a success whole, and the body of a success piece by piece.

        The deadline is for the beginning of the answer. After it, only silence ends the download: the HTTP client's
        timeout for one read.
        """

        def begin() -> Answer | Response:
            response = self._send(request, auth)
            if response.status_code == 200 and not response.headers.get("content-type", "").startswith("text/html"):
                return response
            return self._whole(request, response, deadline)

        begun = self._until(deadline, request, begin)
        if isinstance(begun, Answer):
            yield begun
            return
        request.extensions["timeout"]["read"] = READ_TIMEOUT
        with closing(begun) as response:
            # glibc gives the memory of each large piece back to the system, and takes it again for the next one. It
            # stops doing so once an even larger block was freed; this one is never touched, so it costs nothing.
            bytes(16 * _PIECE)
            coding = response.headers.get("content-encoding", "identity").strip().lower()
            yield from unpacked(response.iter_raw(), coding)

    def _until(self, deadline: float, request: Request, work: Callable[[], Result]) -> Result:
        request.extensions["timeout"] = timeouts = _timeouts(deadline)
        if not self.own:
            return _in_thread(work, deadline)
        timeouts["read"] = read = _ReadTimeout(timeouts["read"])
        read.deadline = deadline
        request.extensions["trace"] = _bound_reads
        return work()

    def _send(self, request: Request, auth: Any) -> Response:
        return self.client.send(request, stream=True, follow_redirects=False, auth=auth or USE_CLIENT_DEFAULT)

    def _whole(self, request: Request, response: Response, deadline: float) -> Answer:
        body = bytearray()
        with closing(response):
            for chunk in response.iter_bytes():
                _add(chunk, body, deadline)
        return Answer(request, response, bytes(body))

    async def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        time.sleep(seconds)  # noqa: ASYNC251 - a sync caller blocks


class WaitingTransport:
    """Sends over an async client; the whole exchange is cut off at its deadline."""

    def __init__(self, client: AsyncClient, *, own: bool) -> None:
        self.client = client
        self.own = own

    async def send(self, request: Request, deadline: float, auth: Any) -> Answer:
        """Send a request and read the whole answer."""
        import anyio

        body = bytearray()
        request.extensions["timeout"] = _timeouts(deadline)
        with anyio.fail_after(deadline - time.monotonic()):
            sent = self.client.send(request, stream=True, follow_redirects=False, auth=auth or USE_CLIENT_DEFAULT)
            async with aclosing(await sent) as response:
                async for chunk in response.aiter_bytes():
                    _add(chunk, body, deadline)
        return Answer(request, response, bytes(body))

    async def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        import anyio

        await anyio.sleep(seconds)
