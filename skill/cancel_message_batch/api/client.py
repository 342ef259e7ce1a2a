"""The Message Batches API over httpx2: cancel, retrieve and list, sync and async; the download of results, sync only.

Each call is written once, as a coroutine over a transport. The sync transport blocks instead of waiting. Both clients
stand in for the official SDK's ``client.messages.batches`` where only these three operations are used.
"""

import copy
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Generic, Self, TypeVar

from httpx2 import AsyncClient, Client, DecodingError, RemoteProtocolError, Request, Response

from .calls import finish, the_same
from .credentials import Connection, connect
from .errors import APIStatusError, ConfigurationError, MessageBatchError, clean, from_client, from_sdk, timed_out
from .models import MessageBatch, MessageBatchList
from .pages import AsyncListing, AsyncMessageBatchPage, MessageBatchPage
from .requests import CALL_TIMEOUT, MAX_RETRIES, Answer, Model, RequestBuilder, RetryPolicy, checked_id, may_pass

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
_RESULTS_MAY_BE_LATE = timedelta(minutes=10)  # anthropic-sdk-python issue 1432: 404 just after the end
_LONGEST_ANSWER = 32 * 2**20  # bytes; a page of 1,000 batches is about half a MiB
_PIECE = 2**20  # bytes read from a socket, or unpacked, at once: each piece costs the HTTP client several copies


Outcome = TypeVar("Outcome")


def _answer(request: Request, response: Response, body: bytearray) -> Answer:
    url, status = str(request.url), response.status_code
    return Answer(url, status, response.reason_phrase, response.headers, bytes(body))


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


def _bounded(body: bytearray, chunk: bytes) -> None:
    body += chunk
    if len(body) > _LONGEST_ANSWER:
        raise DecodingError("the answer does not end")


class _BlockingTransport:
    """Sends over a sync client. Each read of a socket ends with the exchange's deadline.

    The HTTP client's own timeout is for one read, so a server that sends a byte now and then, or a status 100 again
    and again, would never be given up.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._exchange = threading.local()

    async def send(self, request: Request, deadline: float) -> Answer:
        with closing(self._open(request, deadline)) as response:
            return self._whole(request, response)

    def stream(self, request: Request, deadline: float) -> Iterator[Answer | bytes]:
        """Send a request; yield an answer that is not a success whole, and the body of a success piece by piece.

        The deadline is for the beginning of the answer. After it, only silence ends the download: the HTTP client's
        timeout for one read.
        """
        with closing(self._open(request, deadline)) as response:
            if response.status_code != 200 or response.headers.get("content-type", "").startswith("text/html"):
                yield self._whole(request, response)
                return
            self._exchange.deadline = float("inf")
            # glibc gives the memory of each large piece back to the system, and takes it again for the next one. It
            # stops doing so once an even larger block was freed; this one is never touched, so it costs nothing.
            bytes(16 * _PIECE)
            coding = response.headers.get("content-encoding", "identity").strip().lower()
            yield from unpacked(response.iter_raw(), coding)

    def _whole(self, request: Request, response: Response) -> Answer:
        body = bytearray()
        for chunk in response.iter_bytes():
            _bounded(body, chunk)
        return _answer(request, response, body)

    def _open(self, request: Request, deadline: float) -> Response:
        self._exchange.deadline = deadline
        request.extensions["trace"] = self._watch
        return self.client.send(request, stream=True, follow_redirects=False)

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Bound the reads of each new connection (httpcore2: the trace extension)."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = info["return_value"]
            stream.read = partial(self._read, stream.read)

    def _read(self, read: Callable[..., bytes], max_bytes: int, timeout: float | None = None) -> bytes:
        left: float = self._exchange.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return read(max(max_bytes, _PIECE), left if timeout is None else min(timeout, left))

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - a sync caller blocks


class _WaitingTransport:
    """Sends over an async client; the whole exchange is cut off at its deadline."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def send(self, request: Request, deadline: float) -> Answer:
        import anyio

        body = bytearray()
        with anyio.fail_after(deadline - time.monotonic()):
            async with aclosing(await self.client.send(request, stream=True, follow_redirects=False)) as response:
                async for chunk in response.aiter_bytes():
                    _bounded(body, chunk)
        return _answer(request, response, body)

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)


HTTPClient = TypeVar("HTTPClient", Client, AsyncClient)


def build_client(kind: type[HTTPClient], connection: Connection, **options: Any) -> HTTPClient:
    """Set up an HTTP client, which reads the environment for proxies and certificates."""
    try:
        return kind(auth=connection.auth, **options)
    except (ImportError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"The HTTP client cannot be set up ({clean(str(error))}): check the variables that name a proxy or "
            "certificates, such as HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE."
        ) from error


def _limits(left: float) -> dict[str, Any]:
    """Return the limits of one exchange that has so many seconds left."""
    read = min(READ_TIMEOUT, left)
    return {"timeout": {"connect": min(CONNECT_TIMEOUT, left), "read": read, "write": read, "pool": read}}


class _Client(Generic[HTTPClient]):
    """What the two clients share: the calls, as coroutines over a transport."""

    _client_of: type[HTTPClient]
    _transport_of: Callable[[HTTPClient], _BlockingTransport | _WaitingTransport]

    def __init__(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = None,
        profile: str | None = None,
        workspace_id: str | None = None,
        timeout: float = CALL_TIMEOUT,
        max_retries: int = MAX_RETRIES,
        connection: Connection | None = None,
        http_client: HTTPClient | None = None,
    ) -> None:
        self.connection = connection or connect(
            api_key=api_key, auth_token=auth_token, base_url=base_url, profile=profile, workspace_id=workspace_id
        )
        self.policy = RetryPolicy(timeout, max_retries)
        self._builder = RequestBuilder(self.connection)
        self._client: HTTPClient = http_client or build_client(self._client_of, self.connection)
        self._transport = self._transport_of(self._client)

    def with_options(self, policy: RetryPolicy) -> Self:
        """Return a client that retries by another policy, over the same connections."""
        other = copy.copy(self)
        other.policy = policy
        return other

    def within(self, seconds: float) -> Self:
        """Return a client whose calls take no longer than this, over the same connections."""
        return self.with_options(replace(self.policy, timeout=min(max(seconds, 0.001), self.policy.timeout)))

    async def _cancel(self, message_batch_id: str) -> MessageBatch:
        message_batch_id = checked_id(message_batch_id)
        canceled = await self._call(MessageBatch, "POST", f"/{message_batch_id}/cancel")
        return the_same(canceled, message_batch_id, canceling=True)

    async def _retrieve(self, message_batch_id: str) -> MessageBatch:
        message_batch_id = checked_id(message_batch_id)
        return the_same(await self._call(MessageBatch, "GET", f"/{message_batch_id}"), message_batch_id)

    async def _list(self, limit: int, after_id: str | None, before_id: str | None) -> MessageBatchList:
        query = self._builder.page_query(limit, after_id, before_id)
        return await self._call(MessageBatchList, "GET", "", query)

    async def _call(self, model: type[Model], method: str, path: str, query: dict[str, str] | None = None) -> Model:
        """Send one request until it is answered, as often and as long as the policy allows."""
        url = self._builder.url(path, query)
        deadline = time.monotonic() + self.policy.timeout

        async def attempt() -> Model:
            left = max(deadline - time.monotonic(), 0.001)
            request = Request(method, url, headers=self._builder.headers, extensions=_limits(left))
            return self._builder.read(model, await self._transport.send(request, deadline))

        return await self._retried(attempt, deadline)

    async def _retried(
        self,
        attempt: Callable[[], Awaitable[Outcome]],
        deadline: float,
        passes: Callable[[MessageBatchError], bool] = may_pass,
    ) -> Outcome:
        """Try until it works, as often as the policy allows and until the deadline."""
        may_have_arrived = False
        attempts = retries = 0
        while True:
            attempts += 1
            try:
                return await attempt()
            except Exception as raised:  # noqa: BLE001 - what is not expected is raised again
                error = self._known(raised)
            # Raised outside of the handler: the HTTP client's own errors repeat what the server or we sent.
            may_have_arrived = error.may_have_arrived = error.may_have_arrived or may_have_arrived
            limited = self.policy.obeys_limit(error)
            pause = self.policy.pause(error, attempts)
            exhausted = retries >= self.policy.max_retries and not limited
            if exhausted or not passes(error) or time.monotonic() + pause >= deadline:
                raise error
            retries += not limited
            self.policy.on_pause(error, pause)
            await self._transport.sleep(pause)

    def _known(self, error: Exception) -> MessageBatchError:
        """Translate what came instead of an answer; what nobody expects is raised as it is."""
        if isinstance(error, MessageBatchError):
            return error
        if isinstance(error, TimeoutError):
            return timed_out(self._builder.place)
        known = from_client(error, self._builder.place, secrets=self.connection.secrets)
        if known is None and (refused := from_sdk(error, secrets=self.connection.secrets)):
            known = ConfigurationError(f"The SDK could not renew the credential: {clean(str(refused))}")
        if known is None:
            raise error
        return known


class MessageBatches(_Client[Client]):
    """Cancel, retrieve and list Message Batches.

    Args:
        api_key: An API key; without one the environment is read, as the official SDK reads it.
        auth_token: An OAuth token instead.
        base_url: Where the API is; a path prefix is kept.
        profile: A profile of the official SDK, by name.
        workspace_id: The workspace to act in, for a credential that can act in several.
        timeout: Seconds for one whole call, with its retries. Connecting may take 5 s of them at a time, and a
            silent connection is given up after 60 s.
        max_retries: How often a request is sent again after a failure that may pass (408, 409, 429, 5xx, a broken
            connection); ``retry-after`` is honoured.
        connection: A connection found before, instead of the first five.
        http_client: An ``httpx2.Client`` to use instead of one of our own.

    Raises:
        ConfigurationError: There is no credential, or the base URL is invalid.
    """

    _transport_of = _BlockingTransport
    _transport: _BlockingTransport
    _client_of = Client

    def cancel(self, message_batch_id: str) -> MessageBatch:
        """Start canceling a batch (API reference: Cancel a Message Batch).

        The batch has not stopped when this returns: it is ``canceling``, and requests that cannot be interrupted may
        still complete. The call is safe to repeat, and is repeated after failures that may pass.

        Raises:
            InvalidInputError: The text is not a message batch id; nothing was sent.
            APIStatusError: The API refused; 400 when the batch had ended, 404 when there is no such batch in
                the workspace.
            APIConnectionError: The API could not be reached; see ``may_have_arrived``.
            APIResponseError: Something other than the API answered.
        """
        return finish(self._cancel(message_batch_id))

    def retrieve(self, message_batch_id: str) -> MessageBatch:
        """Look at a batch (API reference: Retrieve a Message Batch).

        Raises:
            MessageBatchError: As for ``cancel``.
        """
        return finish(self._retrieve(message_batch_id))

    def list(self, *, limit: int = 20, after_id: str | None = None, before_id: str | None = None) -> MessageBatchPage:
        """List the batches of the workspace, newest first (API reference: List Message Batches).

        Args:
            limit: Batches in a page, 1 to 1000.
            after_id: Start with the batch that follows this one, and go on to older ones.
            before_id: Start with the batches right before this one, and go on to newer ones.

        Returns:
            The first page; iterating over it goes on through all of them. The async twin returns an object to await
            for the first page, or to iterate over.

        Raises:
            MessageBatchError: As for ``cancel``.
        """
        listed = finish(self._list(limit, after_id, before_id))
        return MessageBatchPage(listed, self.list, limit=limit, after_id=after_id, before_id=before_id)

    def download_results(self, batch: MessageBatch, begin: Callable[[], Callable[[bytes], object]]) -> None:
        """Download the results of a batch that has ended (API reference: Retrieve Message Batch results).

        There is no limit for the whole download; 60 s without a byte end it. A download that breaks off is begun
        again from the start, as often as the policy allows. So is one that is answered 404 within 10 minutes after
        the batch has ended, because results may be there a little later than the status says.

        Args:
            batch: The batch.
            begin: Called at the start of each attempt; returns what takes the bytes. It gets an empty piece at the
                end, and may then raise an ``APIConnectionError`` to begin again.

        Raises:
            APIResponseError: The batch has no results_url, or one that leads to another server than the base URL:
                nothing was sent there.
            MessageBatchError: As for ``cancel``.
        """
        url = self._builder.results_url(batch)
        just_ended = batch.ended_at is not None and batch.context.as_of - batch.ended_at < _RESULTS_MAY_BE_LATE

        async def attempt() -> None:
            take = begin()
            left = min(READ_TIMEOUT, self.policy.timeout)
            headers = {**self._builder.headers, "accept": "*/*", "accept-encoding": "gzip"}
            request = Request("GET", url, headers=headers, extensions=_limits(READ_TIMEOUT))
            for piece in self._transport.stream(request, time.monotonic() + left):
                if isinstance(piece, Answer):
                    raise self._builder.refusal(piece)
                if piece:
                    take(piece)
            take(b"")

        def passes(error: MessageBatchError) -> bool:
            return may_pass(error) or (just_ended and isinstance(error, APIStatusError) and error.status == 404)

        finish(self._retried(attempt, float("inf"), passes))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncMessageBatches(_Client[AsyncClient]):
    """The async twin of ``MessageBatches``: the same arguments, the same operations, awaited.

    ``http_client`` is an ``httpx2.AsyncClient``.
    """

    _transport_of = _WaitingTransport
    _client_of = AsyncClient

    async def cancel(self, message_batch_id: str) -> MessageBatch:  # noqa: D102 - documented in the sync twin
        return await self._cancel(message_batch_id)

    async def retrieve(self, message_batch_id: str) -> MessageBatch:  # noqa: D102
        return await self._retrieve(message_batch_id)

    def list(self, *, limit: int = 20, after_id: str | None = None, before_id: str | None = None) -> AsyncListing:  # noqa: D102
        async def first_page() -> AsyncMessageBatchPage:
            listed = await self._list(limit, after_id, before_id)
            return AsyncMessageBatchPage(listed, self.list, limit=limit, after_id=after_id, before_id=before_id)

        return AsyncListing(first_page)

    cancel.__doc__ = MessageBatches.cancel.__doc__
    retrieve.__doc__ = MessageBatches.retrieve.__doc__
    list.__doc__ = MessageBatches.list.__doc__  # noqa: A003 - the SDK's name for the operation

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
