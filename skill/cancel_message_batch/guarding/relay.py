"""One connection of a client, and its own connection to the API: what comes from one side goes to the other."""

import asyncio
import contextlib
import json
import re
import ssl
import struct
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from cancel_message_batch.api.errors import ConfigurationError, clean

from .created import CODINGS, Watch
from .messages import LONGEST_HEAD, BadMessageError, Body, Head, body_of, narrowed

PIECE = 2**18  # bytes
_CONNECT_SECONDS = 10.0
_LINGER_SECONDS = 5.0  # for the rest of a request that was answered before its end


class CutError(Exception):
    """One side has gone in the middle of a message."""


@dataclass
class Side:
    """A connection to a client or to the API, whose bytes are read as they come."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    rest: bytes = b""
    gone: bool = False  # whether it takes nothing any more

    async def read(self) -> bytes:
        """Return the next bytes, or none at the end.

        Raises:
            CutError: The connection broke.
        """
        data, self.rest = self.rest, b""
        try:
            return data or await self.reader.read(PIECE)
        except OSError as error:
            raise CutError from error

    async def head(self) -> Head | None:
        """Return the next head; None when the connection ends before one begins.

        Raises:
            BadMessageError: Something else comes.
            CutError: The connection broke.
        """
        data = b""
        while not (end := re.search(rb"\n\r?\n", data)):
            if len(data) > LONGEST_HEAD:
                raise BadMessageError
            if not (piece := await self.read()):
                if data:
                    raise CutError
                return None
            data = (data + piece).lstrip(b"\r\n")
        self.rest = data[end.end() :]
        return Head.parse(data[: end.end()])

    async def send(self, data: bytes) -> None:
        """Send bytes, if the other end still takes them."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            self.gone = True

    def reset(self) -> None:
        """Break the connection off, where its plain end would be taken for the end of a body."""
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        self.writer.transport.abort()


class Origin:
    """The API's server, and how a connection to it is opened: through the environment's proxy, with its certificates.

    Args:
        base_url: A URL on the server.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        place = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{place}"
        self.name = place.encode()
        self._secure = parts.scheme == "https"
        self._host, self._port = str(parts.hostname), parts.port or (443 if self._secure else 80)
        self._authority = place if parts.port else f"{place}:{self._port}"
        proxies = getproxies()
        via = "" if proxy_bypass(self._host) else proxies.get(parts.scheme) or proxies.get("all", "")
        self._via = urlsplit(via if "://" in via or not via else f"http://{via}")
        if self._via.scheme not in {"", "http", "https"}:
            raise ConfigurationError(
                f"The environment names a {clean(self._via.scheme)} proxy for {self._host}; the command's requests can "
                "pass through http and https proxies only."
            )
        self._trust = _trust() if self._secure or self._via.scheme == "https" else None

    @property
    def absolute(self) -> bytes:
        """What requests put before a path: an unencrypted origin is asked for by its whole URL from a proxy."""
        return self.url.encode() if self._via.netloc and not self._secure else b""

    @property
    def proxy_headers(self) -> dict[bytes, bytes]:
        """What the proxy must be told."""
        userinfo, at, _ = self._via.netloc.rpartition("@")
        if not at:
            return {}
        return {b"Proxy-Authorization": b"Basic " + b64encode(unquote(userinfo).encode())}

    async def reach(self) -> Side:
        """Open a connection.

        Raises:
            OSError: The server cannot be reached.
        """
        async with asyncio.timeout(_CONNECT_SECONDS):
            if not self._via.netloc:
                return Side(*await asyncio.open_connection(self._host, self._port, ssl=self._trust, limit=PIECE))
            trust, port = (self._trust, 443) if self._via.scheme == "https" else (None, 80)
            opened = asyncio.open_connection(self._via.hostname, self._via.port or port, ssl=trust, limit=PIECE)
            side = Side(*await opened)
            if self._secure:
                target = self._authority.encode()
                asking = Head((b"CONNECT", target, b"HTTP/1.1"), ((b"Host", target), *self.proxy_headers.items()))
                await side.send(asking.onward(self.proxy_headers))
                try:
                    answer = await side.head()
                except (BadMessageError, CutError):
                    answer = None
                if answer is None or not 200 <= answer.status < 300:
                    side.writer.transport.abort()
                    raise ConnectionError(f"the proxy {self._via.hostname} opens no connection")
                await side.writer.start_tls(self._trust or _trust(), server_hostname=self._host)
            return side


def _trust() -> ssl.SSLContext:
    from httpx2 import create_ssl_context  # as our own client has it

    try:
        trust = create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"The certificates cannot be loaded ({clean(str(error))}): check SSL_CERT_FILE and SSL_CERT_DIR."
        ) from error
    trust.set_alpn_protocols(["http/1.1"])
    return trust


async def _pass(
    body: Body,
    source: Side,
    target: Side,
    *,
    to_the_end: bool = False,
    before_end: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Pass a body on as it comes; ``to_the_end`` reads all of it even if nobody takes it any more."""
    while not body.ended:
        if not (data := await source.read()):
            if body.until_close:
                return
            raise CutError
        taken = body.take(data)
        source.rest = data[taken:]
        if body.ended and before_end:
            await before_end()
        if not target.gone:
            await target.send(data[:taken])
        elif not to_the_end:
            raise CutError


class Relay:
    """Passes the requests of one client on, one after the other.

    Args:
        client: The connection of the client.
        origin: The API's server.
        names: What clients call us in ``Host``.
        watch: Returns how a request is watched, or None.
        learn: Takes a watched request with its answer: before the client has all of it, or when no answer came.
    """

    def __init__(
        self,
        client: Side,
        origin: Origin,
        names: frozenset[bytes],
        watch: Callable[[Head], Watch | None],
        learn: Callable[[Watch, Head | None], Awaitable[None]],
    ) -> None:
        self._client = client
        self._origin = origin
        self._names = names
        self._watch = watch
        self._learn = learn
        self._api: Side | None = None
        self._until_close = False  # whether the answer under way has no other end

    async def run(self) -> None:
        """Serve the connection to its end."""
        try:
            while await self._exchange():
                pass
        except (BadMessageError, CutError):
            if self._until_close:
                self._client.reset()
        finally:
            for side in (self._api, self._client):
                if side:
                    side.writer.close()

    async def _exchange(self) -> bool:
        """Pass on one request and its answer; returns whether the connection stays open for another."""
        watch: Watch | None = None
        try:
            request = await self._client.head()
            if request is None:
                return False
            watch = self._watch(request)
            body = body_of(request, watch.scanner.take if watch else None)
            if fault := self._fault(request):
                await self._refuse(b"403 Forbidden", "permission_error", fault)
                return False
        except BadMessageError:
            await self._refuse(b"400 Bad Request", "invalid_request_error", "This is not a request of HTTP/1.")
            return False
        try:
            api = await self._reached()
        except OSError as error:
            why = clean(error.strerror or str(error)) or "no connection in time"
            message = f"{self._origin.url} cannot be reached ({why}). Nothing was sent."
            await self._refuse(b"502 Bad Gateway", "api_error", message)
            return False
        method, target, version = request.start
        replaced = {b"host": self._origin.name}
        if self._origin.absolute:
            replaced |= self._origin.proxy_headers
        if not request.stays_open:
            replaced[b"connection"] = b"close"
        if watch and (accepted := request.get(b"accept-encoding")):
            replaced[b"accept-encoding"] = narrowed(accepted, CODINGS)
        await api.send(request.onward(replaced, start=(method, self._origin.absolute + target, version)))
        sending = asyncio.create_task(self._pass_request(api, body, watch))
        answer: Head | None = None
        try:
            answer, stays_open = await self._pass_answer(api, request, watch)
            if not body.ended:
                await asyncio.wait({sending}, timeout=_LINGER_SECONDS)
            return stays_open and body.ended
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            if watch and answer is None:
                await self._learn(watch, None)

    def _fault(self, request: Head) -> str:
        """Say why a request is not passed on: it may come from a web page whose name leads here (DNS rebinding)."""
        names = request.words(b"host")
        if not names <= self._names or not (names or request.start[2] == b"HTTP/1.0"):
            return "The Host header is not the address of this proxy."
        return "" if request.start[1].startswith(b"/") else "Only paths of the API are passed on."

    async def _refuse(self, status: bytes, kind: str, message: str) -> None:
        """Answer in the API's own form, and end the connection once the client has read it."""
        error = {"type": kind, "message": f"cancel-message-batch run: {message}"}
        body = json.dumps({"type": "error", "error": error}).encode()
        headers = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close" % len(body)
        await self._client.send(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, headers, body))
        with contextlib.suppress(OSError, CutError):
            self._client.writer.write_eof()
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self._client.read():
                    pass

    async def _reached(self) -> Side:
        """Return the connection to the API; a new one where the API has closed the last."""
        api = self._api
        if api is None or api.gone or api.rest or api.reader.at_eof():
            if api:
                api.writer.transport.abort()
            api = self._api = await self._origin.reach()
        return api

    async def _pass_request(self, api: Side, body: Body, watch: Watch | None) -> None:
        """Pass the body of a request on, and then notice when the client hangs up before it is answered."""
        client = self._client
        with contextlib.suppress(BadMessageError, CutError):
            await _pass(body, client, api, to_the_end=True)
            if watch:
                watch.sent = not api.gone
            client.rest = client.rest or await client.read()
            if client.rest:  # its next request
                return
        client.gone = True
        if not (watch and watch.sent):
            api.writer.transport.abort()

    async def _pass_answer(self, api: Side, request: Head, watch: Watch | None) -> tuple[Head, bool]:
        """Pass an answer on; returns its head, and whether the connection stays open for another."""
        client = self._client
        while (answer := await api.head()) and answer.status < 200:
            await client.send(answer.onward({}))
        if answer is None:
            raise CutError
        if request.start[0] == b"HEAD" or answer.status in {204, 304}:
            body = Body(0)
        else:
            body = body_of(answer, watch.keep if watch else None, otherwise=None)
        self._until_close = body.until_close
        stays_open = request.stays_open and answer.stays_open and not body.until_close
        if not client.gone:
            await client.send(answer.onward({} if stays_open else {b"connection": b"close"}))
        learned = False

        async def learn() -> None:
            nonlocal learned
            learned = True
            if watch:
                await self._learn(watch, answer)

        await _pass(body, api, client, to_the_end=watch is not None, before_end=learn)
        if not learned:
            await learn()
        return answer, stays_open and not client.gone
