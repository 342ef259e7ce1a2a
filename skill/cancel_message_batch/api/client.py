"""The Message Batches API over httpx2: cancel, retrieve and list, sync and async; the download of results, sync only.

Each call is written once, as a coroutine over a transport. The sync transport blocks instead of waiting. Both clients
behave like the official SDK's ``client.messages.batches`` where only these three operations are used.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

from httpx2 import URL, AsyncClient, Client, Request

from .calls import check_same_batch, finish
from .credentials import Connection, connect
from .endpoint import Endpoint, Result
from .errors import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    InvalidInputError,
    MessageBatchError,
    clean,
    from_client,
    from_sdk,
    json_or_none,
)
from .models import Context, MessageBatch, checked_id, read_batch
from .pages import AsyncListing, AsyncMessageBatchPage, MessageBatchPage
from .retries import CALL_TIMEOUT, MAX_RETRIES, Attempts, RetryPolicy, may_pass
from .transport import READ_TIMEOUT, Answer, BlockingTransport, WaitingTransport

_RESULTS_MAY_BE_LATE = timedelta(minutes=10)  # anthropic-sdk-python issue 1432: 404 just after the end

HTTPClient = TypeVar("HTTPClient", Client, AsyncClient)
Page = TypeVar("Page", MessageBatchPage, AsyncMessageBatchPage)


def build_client(kind: type[HTTPClient], **options: Any) -> HTTPClient:
    """Set up an HTTP client, which reads the environment for proxies and certificates."""
    try:
        return kind(**options)
    except (ImportError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"The HTTP client cannot be set up ({clean(str(error))}): check the variables that name a proxy or "
            "certificates, such as HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE."
        ) from error


class _Client(Generic[HTTPClient]):
    """What the two clients share: the calls, as coroutines over a transport."""

    _client_of: type[HTTPClient]
    _transport_of: Callable[..., Any]
    list: Callable[..., Any]

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
        http_client: HTTPClient | None = None,
    ) -> None:
        policy = RetryPolicy(timeout, max_retries)
        connection = connect(
            api_key=api_key, auth_token=auth_token, base_url=base_url, profile=profile, workspace_id=workspace_id
        )
        own = http_client is None
        self._check_client_given(http_client)
        transport = self._transport_of(http_client or build_client(self._client_of), own=own)
        self._set_up(connection, policy, transport)

    def _set_up(self, connection: Connection, policy: RetryPolicy, transport: Any) -> None:
        if not transport.own:
            connection = connection.over(transport.client)
        self.connection, self.policy = connection, policy  # not part of the public API
        self._endpoint, self._transport = Endpoint(connection), transport

    def with_options(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = None,
        profile: str | None = None,
        workspace_id: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        http_client: HTTPClient | None = None,
    ) -> Self:
        """Return a client with other options over the same HTTP client; what is None stays as it is."""
        connection = self.connection.with_arguments(
            api_key=api_key, auth_token=auth_token, base_url=base_url, profile=profile, workspace_id=workspace_id
        )
        policy = replace(
            self.policy,
            timeout=self.policy.timeout if timeout is None else timeout,
            max_retries=self.policy.max_retries if max_retries is None else max_retries,
        )
        other = copy.copy(self)
        self._check_client_given(http_client)
        transport = self._transport_of(http_client, own=False) if http_client else self._transport
        other._set_up(connection, policy, transport)  # noqa: SLF001 - our own
        return other

    def _check_client_given(self, given: object) -> None:
        if given is not None and not isinstance(given, self._client_of):
            wanted = f"httpx2.{self._client_of.__name__}"
            raise InvalidInputError(
                f"http_client is a {type(given).__module__}.{type(given).__name__}, not an {wanted}"
            )

    async def _cancel(self, message_batch_id: str) -> MessageBatch:
        message_batch_id = checked_id(message_batch_id)
        canceled = await self._call(read_batch, "POST", f"/{message_batch_id}/cancel")
        return check_same_batch(canceled, message_batch_id, canceling=True)

    async def _retrieve(self, message_batch_id: str) -> MessageBatch:
        message_batch_id = checked_id(message_batch_id)
        return check_same_batch(await self._call(read_batch, "GET", f"/{message_batch_id}"), message_batch_id)

    async def _list(self, page_of: type[Page], **options: Any) -> Page:
        page = await self._call(page_of.read, "GET", "", self._endpoint.page_query(**options))
        return page.followed_by(self.list, **options)

    async def _call(
        self, parse: Callable[[bytes, Context], Result], method: str, path: str, query: dict[str, str] | None = None
    ) -> Result:
        """Send one request until it is answered, as often and as long as the policy allows."""
        url, headers = self._endpoint.url(path, query), self._endpoint.headers
        deadline = time.monotonic() + self.policy.timeout
        attempts = Attempts(self.policy, deadline)
        while True:
            try:
                answer = await self._transport.send(self._request(method, url, headers), deadline, self.connection.auth)
                return self._endpoint.read(parse, answer)
            except Exception as raised:  # noqa: BLE001 - an unexpected one is raised again
                error = self._translated(raised, method, url)
            # Raised outside of the handler: the HTTP client's own errors repeat what the server or we sent.
            await self._transport.sleep(attempts.pause_after(error))

    def _request(self, method: str, url: URL, headers: dict[str, str]) -> Request:
        """Build a request; a caller's client adds the headers, parameters and cookies that it was made with."""
        if self._transport.own:
            return Request(method, url, headers=headers)
        built: Request = self._transport.client.build_request(method, url, params=url.params, headers=headers)
        return built

    def _translated(self, error: Exception, method: str, url: URL) -> MessageBatchError:
        """Translate what came instead of an answer; an unexpected exception is raised as it is."""
        if isinstance(error, MessageBatchError):
            return error
        known = from_client(error, self._endpoint.place, secrets=self.connection.secrets)
        if known is None and (refused := from_sdk(error, secrets=self.connection.secrets)):
            known = ConfigurationError(f"The SDK could not renew the credential: {clean(str(refused))}")
        if known is None:
            raise error
        known.request = Request(method, url)
        return known


class MessageBatches(_Client[Client]):
    """Cancel, retrieve and list Message Batches.

    Args:
        api_key: An API key; without one the environment is read, as the official SDK reads it.
        auth_token: An OAuth token instead.
        base_url: Where the API is; a path prefix is kept.
        profile: A profile of the official SDK, by name.
        workspace_id: The workspace to act in, for a credential that can act in several.
        timeout: Seconds for one whole call with its retries, above 0; ``math.inf`` for no limit. Connecting may take
            5 s of them at a time, and a silent connection is dropped after 60 s.
        max_retries: How often to retry after a failure that may pass (408, 409, 429, 5xx, a broken connection);
            ``retry-after`` is honored.
        http_client: An ``httpx2.Client`` to use instead of one of our own, with the headers, parameters and cookies
            that it has; ``timeout`` goes for it too, and ``close()`` closes it.

    Raises:
        ConfigurationError: There is no credential, or the base URL is invalid.
        InvalidInputError: ``timeout``, ``max_retries`` or ``http_client`` has a wrong value.
    """

    _transport_of = BlockingTransport
    _transport: BlockingTransport
    _client_of = Client

    def cancel(self, message_batch_id: str) -> MessageBatch:
        """Start canceling a batch (API reference: Cancel a Message Batch).

        The batch has not stopped when this returns: it is ``canceling``, and requests that cannot be interrupted may
        still complete. The call is safe to repeat, and is retried after failures that may be temporary.

        Raises:
            InvalidInputError: The text is not a message batch id; nothing was sent.
            APIStatusError: The API refused; 400 when the batch had ended, 404 when there is no such batch in
                the workspace.
            APIConnectionError: The API could not be reached; see ``may_have_arrived``.
            APIResponseError: Something other than the API answered.
        """
        return finish(self._cancel(message_batch_id))

    def retrieve(self, message_batch_id: str) -> MessageBatch:
        """Retrieve a batch (API reference: Retrieve a Message Batch).

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
        return finish(self._list(MessageBatchPage, limit=limit, after_id=after_id, before_id=before_id))

    def download_results(self, batch: MessageBatch) -> Iterator[bytes | None]:
        """Download the results of a batch that has ended (API reference: Retrieve Message Batch results).

        There is no time limit for the whole download; 60 s without a byte end it. A download that breaks off starts
        over, as often as ``max_retries`` allows. So does one that is answered 404 within 10 minutes after the batch has
        ended, because results may be there a little later than the status says.

        Args:
            batch: The batch.

        Yields:
            The bytes, piece by piece, or None when the download starts over: discard all pieces so far.

        Raises:
            MessageBatchError: As for ``cancel``.
        """
        url = self._endpoint.url(f"/{checked_id(batch.id)}/results")
        just_ended = batch.ended_at is not None and batch.context.as_of - batch.ended_at < _RESULTS_MAY_BE_LATE

        def passes(error: MessageBatchError) -> bool:
            return may_pass(error) or (just_ended and isinstance(error, APIStatusError) and error.status_code == 404)

        attempts = Attempts(self.policy, 0.0, passes)
        while True:
            try:
                yield from self._download(url)
                return
            except Exception as raised:  # noqa: BLE001 - an unexpected one is raised again
                error = self._translated(raised, "GET", url)
            attempts.deadline = time.monotonic() + self.policy.timeout  # of the pause, since a download has none
            time.sleep(attempts.pause_after(error))
            yield None

    def _download(self, url: URL) -> Iterator[bytes]:
        headers = {**self._endpoint.headers, "accept": "*/*", "accept-encoding": "gzip"}
        begun_by = time.monotonic() + min(READ_TIMEOUT, self.policy.timeout)
        last_line = bytearray()
        for piece in self._transport.stream(self._request("GET", url, headers), begun_by, self.connection.auth):
            if isinstance(piece, Answer):
                raise self._endpoint.refusal(piece)
            if (end := piece.rfind(b"\n") + 1) > 0:
                last_line.clear()
            last_line += piece[end:]
            yield piece
        if last_line.lstrip().startswith(b"{") and json_or_none(bytes(last_line)) is None:
            raise APIConnectionError("the results ended in the middle of a line", may_have_arrived=True)

    def close(self) -> None:
        """Close the connections."""
        self._transport.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncMessageBatches(_Client[AsyncClient]):
    """The async twin of ``MessageBatches``: the same arguments, the same operations, awaited.

    ``http_client`` is an ``httpx2.AsyncClient``. Results are downloaded with the sync client.
    """

    _transport_of = WaitingTransport
    _client_of = AsyncClient

    async def cancel(self, message_batch_id: str) -> MessageBatch:  # noqa: D102 - documented in the sync twin
        return await self._cancel(message_batch_id)

    async def retrieve(self, message_batch_id: str) -> MessageBatch:  # noqa: D102
        return await self._retrieve(message_batch_id)

    def list(self, *, limit: int = 20, after_id: str | None = None, before_id: str | None = None) -> AsyncListing:  # noqa: D102
        options = {"limit": limit, "after_id": after_id, "before_id": before_id}
        return AsyncListing(lambda: self._list(AsyncMessageBatchPage, **options))

    cancel.__doc__ = MessageBatches.cancel.__doc__
    retrieve.__doc__ = MessageBatches.retrieve.__doc__
    list.__doc__ = MessageBatches.list.__doc__  # noqa: A003 - the SDK's name for the operation

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


Batches = TypeVar("Batches", bound=_Client[Any])


def client_over(kind: type[Batches], connection: Connection, **http_options: Any) -> Batches:
    """Return a client over a connection that was found before; the options are those of its HTTP client."""
    client = kind.__new__(kind)
    transport = kind._transport_of(build_client(kind._client_of, **http_options), own=True)  # noqa: SLF001 - our own
    client._set_up(connection, RetryPolicy(), transport)  # noqa: SLF001
    return client


def with_policy(batches: Batches, policy: RetryPolicy) -> Batches:
    """Return a client that retries by another policy, over the same connections."""
    other = copy.copy(batches)
    other.policy = policy
    return other


def within(batches: Batches, seconds: float) -> Batches:
    """Return a client whose calls take no longer than this, over the same connections."""
    timeout = min(max(seconds, 0.001), batches.policy.timeout)
    return with_policy(batches, replace(batches.policy, timeout=timeout))
