"""The Message Batches API over httpx2: cancel, retrieve, list, sync and async.

What is sent, when it is sent again and what an answer means is written once, as generators that yield requests
and pauses; two small drivers run them. Both clients stand in for the official SDK's
``client.messages.batches`` where only these three operations are used.
"""

import contextlib
import platform
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from httpx2 import (
    URL,
    AsyncClient,
    Client,
    ConnectError,
    ConnectTimeout,
    DecodingError,
    InvalidURL,
    ProxyError,
    ReadTimeout,
    Request,
    RequestError,
    Response,
    TimeoutException,
)
from pydantic import ValidationError

from cancel_message_batch import __version__

from .credentials import Connection, connect
from .errors import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    ConfigurationError,
    InvalidInputError,
    MessageBatchError,
    clean,
    from_sdk,
    header_date,
    retry_after_seconds,
    status_error,
)
from .models import MessageBatch, MessageBatchIdInput, MessageBatchList, message_batch_id_fault

# The official SDK's numbers, so that both behave alike on a bad day.
MAX_RETRIES = 2
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
TIMEOUT = 120.0

_LONGEST_ANSWER = 32 * 2**20  # bytes; a page of 1,000 batches is about half of one MiB
_REDIRECTS = 5
_USER_AGENT = f"cancel-message-batch/{__version__} python/{platform.python_version()}"

Model = TypeVar("Model", MessageBatch, MessageBatchList)


class Batches(Protocol):
    """What the tools need: ours, or ``anthropic.Anthropic().messages.batches``."""

    def cancel(self, message_batch_id: str, /) -> Any:
        """Cancel a batch."""

    def retrieve(self, message_batch_id: str, /) -> Any:
        """Retrieve a batch."""

    def list(self, *, limit: int = ..., after_id: str = ...) -> Any:
        """List batches, one page at a time."""


class AsyncBatches(Protocol):
    """What the async tools need: ours, or ``anthropic.AsyncAnthropic().messages.batches``."""

    def cancel(self, message_batch_id: str, /) -> Awaitable[Any]:
        """Cancel a batch."""

    def retrieve(self, message_batch_id: str, /) -> Awaitable[Any]:
        """Retrieve a batch."""

    def list(self, *, limit: int = ..., after_id: str = ...) -> Awaitable[Any]:
        """List batches, one page at a time."""


@dataclass(frozen=True)
class _Answer:
    """An HTTP answer, read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


Steps = Generator["Request | float", "_Answer | Exception | None", Model]


class _Body:
    """Collects an answer's body, and gives up on one that takes too long or never ends."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._deadline: float = request.extensions["deadline"]
        self._chunks = bytearray()

    def add(self, chunk: bytes) -> None:
        self._chunks += chunk
        if len(self._chunks) > _LONGEST_ANSWER:
            raise DecodingError("the answer does not end", request=self._request)
        if time.monotonic() > self._deadline:
            raise ReadTimeout("the answer takes too long", request=self._request)

    def answer(self, response: Response) -> _Answer:
        return _Answer(response.status_code, response.reason_phrase, response.headers, bytes(self._chunks))


class _Client:
    """All that the two clients share: everything but the waiting."""

    def __init__(self, connection: Connection, timeout: float, max_retries: int) -> None:
        self.connection = connection
        self._timeout = timeout
        self._max_retries = max_retries
        self._headers = {"accept": "application/json", "user-agent": _USER_AGENT, **connection.headers}
        root = URL(connection.base_url)
        self._origin = root.origin
        self._place = f"the API at {root.host}:{root.port}" if root.port else f"the API at {root.host}"

    def _cancel_steps(self, message_batch_id: str) -> Steps[MessageBatch]:
        return self._steps(MessageBatch, "POST", f"/{self._checked(message_batch_id)}/cancel")

    def _retrieve_steps(self, message_batch_id: str) -> Steps[MessageBatch]:
        return self._steps(MessageBatch, "GET", f"/{self._checked(message_batch_id)}")

    def _list_steps(self, limit: int, after_id: str | None, before_id: str | None) -> Steps[MessageBatchList]:
        if not isinstance(limit, int) or not 1 <= limit <= 1000:
            raise InvalidInputError(f"limit is {limit}; it must be from 1 to 1000")
        if after_id and before_id:
            raise InvalidInputError("give after_id or before_id, not both")
        query = {"limit": str(limit)}
        if after_id:
            query["after_id"] = self._checked(after_id)
        if before_id:
            query["before_id"] = self._checked(before_id)
        return self._steps(MessageBatchList, "GET", "", query)

    @staticmethod
    def _checked(message_batch_id: str) -> str:
        try:
            return MessageBatchIdInput(message_batch_id=message_batch_id).message_batch_id
        except ValidationError as error:
            fault = message_batch_id_fault(message_batch_id) if isinstance(message_batch_id, str) else "not a text"
            shown = clean(repr(message_batch_id), limit=60)
            raise InvalidInputError(f"{shown} is not a message batch id: {fault}", about_id=True) from error

    def _steps(self, model: type[Model], method: str, path: str, query: dict[str, str] | None = None) -> Steps[Model]:
        """Send one request until it is answered, as often and as long as the SDK's policy and ours allow."""
        url = URL(f"{self.connection.base_url}/messages/batches{path}", params=query)
        deadline = time.monotonic() + self._timeout
        may_have_arrived = False
        retries = redirects = 0
        while True:
            left = max(deadline - time.monotonic(), 0.001)
            read = min(READ_TIMEOUT, left)
            timeout = {"connect": min(CONNECT_TIMEOUT, left), "read": read, "write": read, "pool": read}
            extensions = {"timeout": timeout, "deadline": deadline}
            answer = yield Request(method, url, headers=self._headers, extensions=extensions)
            error: MessageBatchError
            wait: float | None = None
            if isinstance(answer, _Answer):
                if 200 <= answer.status < 300:
                    return self._parsed(model, answer)
                location = answer.headers.get("location")
                if location and 300 <= answer.status < 400:
                    redirects += 1
                    try:
                        url = self._redirected(url, location, answer.status, method, redirects)
                    except APIResponseError as elsewhere:
                        elsewhere.may_have_arrived = may_have_arrived
                        raise
                    continue
                wait = retry_after_seconds(answer.headers)
                error = status_error(
                    answer.status,
                    answer.body,
                    reason=answer.reason,
                    request_id=answer.headers.get("request-id"),
                    retry_after=wait,
                    secrets=self.connection.secrets,
                )
                again = _should_retry(answer)
            else:
                error = self._connection_error(answer)
                again = isinstance(error, APIConnectionError)
            may_have_arrived = error.may_have_arrived = error.may_have_arrived or may_have_arrived
            pause = wait or min(FIRST_PAUSE * 2**retries, LONGEST_PAUSE) * (1 - 0.25 * random.random())  # noqa: S311
            if not again or retries >= self._max_retries or time.monotonic() + pause >= deadline:
                raise error
            retries += 1
            yield pause

    def _parsed(self, model: type[Model], answer: _Answer) -> Model:
        try:
            parsed = model.model_validate_json(answer.body)
        except ValidationError as error:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip()
            raise APIResponseError(
                f"{self._place} answered {answer.status} with "
                f"{clean(kind, limit=40) or 'something'} that is not the API's answer",
                may_have_arrived=True,
            ) from error
        if (said_at := header_date(answer.headers.get("date"))) is not None:
            parsed.said_at(said_at)
        return parsed

    def _redirected(self, url: URL, location: str, status: int, method: str, redirects: int) -> URL:
        """Follow a redirect only where neither the credential nor the method changes hands."""
        if redirects > _REDIRECTS:
            raise APIResponseError(f"{self._place} redirects in a circle")
        place = "somewhere else"
        with contextlib.suppress(InvalidURL, ValueError):
            target = url.join(location)
            if target.origin == self._origin and (method == "GET" or status in {307, 308}):
                return target
            place = clean(f"{target.scheme}://{target.host}", limit=80)
        raise APIResponseError(
            f"{self._place} redirects to {place}; the key was not sent there. If that is the API, make it the base URL"
        )

    def _connection_error(self, cause: Exception | None) -> MessageBatchError:
        where = self._place
        if isinstance(cause, ConnectTimeout):
            return APITimeoutError(f"{where} cannot be reached (no connection within {CONNECT_TIMEOUT:g} s)")
        if isinstance(cause, TimeoutException):
            return APITimeoutError(f"{where} did not answer in time", may_have_arrived=True)
        if isinstance(cause, ConnectError | ProxyError):
            return APIConnectionError(f"{where} cannot be reached ({clean(str(cause), limit=80)})")
        if isinstance(cause, DecodingError):
            return APIResponseError(f"{where} answered with something unreadable", may_have_arrived=True)
        if isinstance(cause, RequestError):
            what = clean(str(cause), limit=80) or type(cause).__name__
            return APIConnectionError(f"the connection to {where} broke ({what})", may_have_arrived=True)
        if cause is not None and from_sdk(cause):
            return ConfigurationError(f"The SDK could not renew the credential: {clean(str(cause))}")
        raise cause or AssertionError("a driver sent no answer")


def _should_retry(answer: _Answer) -> bool:
    """Decide as the official SDK does: the API's own word first, then timeouts, conflicts, limits and faults."""
    word = answer.headers.get("x-should-retry")
    if word in {"true", "false"}:
        return word == "true"
    return answer.status in {408, 409, 429} or answer.status >= 500


HTTPClient = TypeVar("HTTPClient", Client, AsyncClient)


def build_client(kind: type[HTTPClient], connection: Connection, **options: Any) -> HTTPClient:
    """Set up an HTTP client, which reads the environment for proxies and certificates.

    Raises:
        ConfigurationError: It names a proxy or certificates that cannot be used.
    """
    try:
        return kind(auth=connection.auth, **options)
    except (ImportError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"The HTTP client cannot be set up ({clean(str(error))}): check the variables that name a proxy or "
            "certificates, such as HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE."
        ) from error


class _Page:
    """What the two kinds of page share: the API's answer, and where the next page begins."""

    def __init__(self, listed: MessageBatchList, limit: int, *, backwards: bool, cursor: str | None) -> None:
        self.data = listed.data
        self.has_more = listed.has_more
        self.first_id = listed.first_id
        self.last_id = listed.last_id
        self._limit = limit
        self._backwards = backwards
        self._cursor = cursor

    def has_next_page(self) -> bool:
        """Whether there is more in the direction of the listing."""
        # A cursor that does not move would be followed for ever.
        return bool(self.data) and self.has_more and self._next_cursor not in {None, self._cursor}

    @property
    def _next_cursor(self) -> str | None:
        return self.first_id if self._backwards else self.last_id

    def _next_arguments(self) -> dict[str, Any]:
        return {"limit": self._limit, ("before_id" if self._backwards else "after_id"): self._next_cursor}


class MessageBatchPage(_Page):
    """One page of batches; iterating over it goes on through all the pages that follow."""

    def __init__(self, client: "MessageBatches", *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._client = client

    def get_next_page(self) -> "MessageBatchPage":
        """Fetch the page that follows."""
        return self._client.list(**self._next_arguments())

    def iter_pages(self) -> "Iterator[MessageBatchPage]":
        """Yield this page and all that follow."""
        page = self
        yield page
        while page.has_next_page():
            page = page.get_next_page()
            yield page

    def __iter__(self) -> Iterator[MessageBatch]:
        for page in self.iter_pages():
            yield from page.data


class AsyncMessageBatchPage(_Page):
    """One page of batches; iterating over it goes on through all the pages that follow."""

    def __init__(self, client: "AsyncMessageBatches", *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._client = client

    async def get_next_page(self) -> "AsyncMessageBatchPage":
        """Fetch the page that follows."""
        return await self._client.list(**self._next_arguments())

    async def iter_pages(self) -> "AsyncIterator[AsyncMessageBatchPage]":
        """Yield this page and all that follow."""
        page = self
        yield page
        while page.has_next_page():
            page = await page.get_next_page()
            yield page

    async def __aiter__(self) -> AsyncIterator[MessageBatch]:
        async for page in self.iter_pages():
            for batch in page.data:
                yield batch


class AsyncListing:
    """What the async ``list`` returns: awaited it gives the first page, iterated over it gives every batch."""

    def __init__(
        self, client: "AsyncMessageBatches", steps: Callable[[], Steps[MessageBatchList]], options: dict[str, Any]
    ) -> None:
        self._client = client
        self._steps = steps
        self._options = options

    async def _first(self) -> AsyncMessageBatchPage:
        return AsyncMessageBatchPage(self._client, await self._client._run(self._steps()), **self._options)  # noqa: SLF001

    def __await__(self) -> Generator[Any, None, AsyncMessageBatchPage]:
        return self._first().__await__()

    async def __aiter__(self) -> AsyncIterator[MessageBatch]:
        async for batch in await self._first():
            yield batch


class MessageBatches(_Client):
    """Cancel, retrieve and list Message Batches.

    Args:
        api_key: An API key; without one the environment is read, as the official SDK reads it.
        auth_token: An OAuth token instead.
        base_url: Where the API is; a path prefix is kept.
        profile: A profile of the official SDK, by name.
        workspace_id: The workspace to act in, for a credential that can act in several.
        timeout: Seconds for one whole call, with its retries. Connecting may take 5 s of them at a time, and a
            silent connection is given up after 60 s.
        max_retries: How often a request is sent again after what may pass (408, 409, 429, 5xx, a broken
            connection); ``retry-after`` is honoured.
        connection: A connection found before, instead of the first five.
        http_client: An ``httpx2.Client`` to use instead of one of our own.

    Raises:
        ConfigurationError: There is no credential, or the base URL is none.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = None,
        profile: str | None = None,
        workspace_id: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = MAX_RETRIES,
        connection: Connection | None = None,
        http_client: Client | None = None,
    ) -> None:
        connection = connection or connect(
            api_key=api_key,
            auth_token=auth_token,
            base_url=base_url,
            profile=profile,
            workspace_id=workspace_id,
        )
        super().__init__(connection, timeout, max_retries)
        self._client = http_client or build_client(Client, connection)

    def cancel(self, message_batch_id: str) -> MessageBatch:
        """Start canceling a batch (API reference: Cancel a Message Batch).

        It is not stopped when this returns: it is ``canceling``, and requests that cannot be interrupted may
        still complete. Safe to repeat, and repeated after failures that may pass.

        Raises:
            InvalidInputError: The text is no message batch id; nothing was sent.
            APIStatusError: The API refused; 400 when the batch had ended, 404 when there is no such batch in
                the workspace.
            APIConnectionError: The API could not be reached; see ``may_have_arrived``.
            APIResponseError: Something answered that is not the API.
        """
        return self._run(self._cancel_steps(message_batch_id))

    def retrieve(self, message_batch_id: str) -> MessageBatch:
        """Look at a batch (API reference: Retrieve a Message Batch).

        Raises:
            MessageBatchError: As for ``cancel``.
        """
        return self._run(self._retrieve_steps(message_batch_id))

    def list(self, *, limit: int = 20, after_id: str | None = None, before_id: str | None = None) -> MessageBatchPage:
        """List the batches of the workspace, newest first (API reference: List Message Batches).

        Args:
            limit: Batches in a page, 1 to 1000.
            after_id: Start with the batch that follows this one, and go on to older ones.
            before_id: Start with the batches right before this one, and go on to newer ones.

        Returns:
            The first page; iterating over it goes on through all of them. What the async twin returns is awaited
            for the first page, or iterated over.

        Raises:
            MessageBatchError: As for ``cancel``.
        """
        listed = self._run(self._list_steps(limit, after_id, before_id))
        return MessageBatchPage(self, listed, limit, backwards=bool(before_id), cursor=before_id or after_id)

    def _run(self, steps: Steps[Model]) -> Model:
        answer: _Answer | Exception | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                result: Model = stop.value
                return result
            answer = None
            if isinstance(step, Request):
                try:
                    answer = self._send(step)
                except Exception as error:  # noqa: BLE001 - the steps know which of them are ours to explain
                    answer = error
            else:
                time.sleep(step)

    def _send(self, request: Request) -> _Answer:
        body = _Body(request)
        response = self._client.send(request, stream=True, follow_redirects=False)
        try:
            for chunk in response.iter_bytes():
                body.add(chunk)
        finally:
            response.close()
        return body.answer(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncMessageBatches(_Client):
    """The async twin of ``MessageBatches``: the same arguments, the same operations, awaited.

    ``http_client`` is an ``httpx2.AsyncClient``.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = None,
        profile: str | None = None,
        workspace_id: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = MAX_RETRIES,
        connection: Connection | None = None,
        http_client: AsyncClient | None = None,
    ) -> None:
        connection = connection or connect(
            api_key=api_key,
            auth_token=auth_token,
            base_url=base_url,
            profile=profile,
            workspace_id=workspace_id,
        )
        super().__init__(connection, timeout, max_retries)
        self._client = http_client or build_client(AsyncClient, connection)

    async def cancel(self, message_batch_id: str) -> MessageBatch:  # noqa: D102 - documented in the sync twin
        return await self._run(self._cancel_steps(message_batch_id))

    async def retrieve(self, message_batch_id: str) -> MessageBatch:  # noqa: D102
        return await self._run(self._retrieve_steps(message_batch_id))

    def list(self, *, limit: int = 20, after_id: str | None = None, before_id: str | None = None) -> AsyncListing:  # noqa: D102
        options = {"limit": limit, "backwards": bool(before_id), "cursor": before_id or after_id}
        return AsyncListing(self, partial(self._list_steps, limit, after_id, before_id), options)

    cancel.__doc__ = MessageBatches.cancel.__doc__
    retrieve.__doc__ = MessageBatches.retrieve.__doc__
    list.__doc__ = MessageBatches.list.__doc__  # noqa: A003 - the SDK's name for the operation

    async def _run(self, steps: Steps[Model]) -> Model:
        import anyio  # noqa: PLC0415 - only the async client pays for it

        answer: _Answer | Exception | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                result: Model = stop.value
                return result
            answer = None
            if isinstance(step, Request):
                try:
                    answer = await self._send(step)
                except Exception as error:  # noqa: BLE001 - the steps know which of them are ours to explain
                    answer = error
            else:
                await anyio.sleep(step)

    async def _send(self, request: Request) -> _Answer:
        body = _Body(request)
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            async for chunk in response.aiter_bytes():
                body.add(chunk)
        finally:
            await response.aclose()
        return body.answer(response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
