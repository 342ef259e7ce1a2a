"""What goes over the wire: the journal of all exchanges, and the faults that disturb them."""

import asyncio
import json
import math
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, ClassVar

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .account import Account
from .envelope import APIError, error_answer

LARGEST_BODY = 256 * 2**20  # bytes; batch processing guide: a batch is at most 256 MB
ORGANIZATION = "00000000-0000-4000-8000-000000000000"
JOURNAL_LENGTH = 100_000  # exchanges; the oldest are forgotten first

_LONGEST_DELAY = 86_400.0  # seconds
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_CREDENTIALS = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})


@dataclass
class Exchange:
    """One request to the API, and how it was answered.

    Args:
        method: Its HTTP method.
        path: Its path, without the query.
        query: Its query parameters.
        headers: Its headers, names in lower case; of a credential, only the last four characters are kept.
        body: Its body, if that was JSON.
        at: When it came, in seconds since the epoch, by the account's clock.
        status: The answer's HTTP status; None while there is no answer, and when none was sent.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float
    status: int | None = None


@dataclass
class Fault:
    """Something that goes wrong with an exchange, instead of the real answer or after it.

    Args:
        match: A regular expression, searched in ``METHOD /path``.
        times: How many requests it befalls; 0 for all.
        status: The HTTP status of the answer; without a body of its own it gets the error envelope.
        headers: Headers of the answer.
        body: The body of the answer; a dict is sent as JSON.
        content_type: The answer's content type, if not JSON.
        delay: Seconds of real time that pass before the answer.
        hang: No answer ever comes.
        drop: The connection is closed without an answer.
        after: The request takes effect first, and only its answer is lost. Otherwise it has none.

    With no status and no body the real answer comes, late.
    """

    match: str = ""
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | str | dict[str, Any] | None = None
    content_type: str | None = None
    delay: float = 0.0
    hang: bool = False
    drop: bool = False
    after: bool = False

    # For those that come over HTTP: what is misspelled is no fault.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from error
        if self.times < 0 or not 0 <= self.delay <= _LONGEST_DELAY:
            raise ValueError("times and delay cannot be negative, and a delay is a day at most")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status must be from 200 to 599")
        for name, value in [*self.headers.items(), ("content-type", self.content_type or "x")]:
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"header {name!r} cannot be sent")

    def answer(self, scope: Scope) -> Response:
        """Build the answer it gives."""
        status = 200 if self.status is None else self.status
        if self.body is None and status >= 400:
            return error_answer(scope, APIError(status, "The sandbox was told to fail this request."), self.headers)
        body = json.dumps(self.body) if isinstance(self.body, dict) else self.body
        return Response(body, status, self.headers, self.content_type or "application/json")


class Wire:
    """Stands between the clients and the API: keeps the journal, and plays the faults.

    Args:
        api: The API as it is when nothing goes wrong.
        account: Whose clock tells the time.
        journal: Where the exchanges are written down.
        faults: The faults to play; a request gets the first that matches it.
        limit_every: Every how many requests one is answered 429; 0 for none.
        retry_after: What that answer's ``retry-after`` says.
    """

    def __init__(
        self,
        api: ASGIApp,
        *,
        account: Account,
        journal: list[Exchange],
        faults: list[Fault],
        limit_every: int,
        retry_after: str,
    ) -> None:
        self._api = api
        self._account = account
        self._journal = journal
        self._faults = faults
        self._limit_every = limit_every
        self._retry_after = retry_after
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        self._requests += 1
        limited = self._limit_every > 0 and self._requests % self._limit_every == 0
        scope["sandbox.request_id"] = f"req_01sandbox{self._requests:015d}"
        try:
            body = await _read(receive)
        except ClientDisconnect:
            return
        exchange = self._note(scope, body)
        answer = self._noting(send, scope, exchange)
        if fault := self._fault(f"{exchange.method} {exchange.path}"):
            await self._play(fault, scope, body, receive, answer)
        elif limited:
            await self._limit(scope)(scope, receive, answer)
        else:
            await self._handle(scope, body, receive, answer)

    async def _play(self, fault: Fault, scope: Scope, body: bytes | None, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        if fault.after:
            await self._handle(scope, body, receive, hold)
        if not await _pause(receive, None if fault.hang else fault.delay):
            return
        if fault.drop:
            scope["sandbox.connection"].abort()
            await _pause(receive, None)
        elif fault.status is not None or fault.body is not None:
            await fault.answer(scope)(scope, receive, send)
        elif fault.after:
            for message in held:
                await send(message)
        else:
            await self._handle(scope, body, receive, send)

    def _note(self, scope: Scope, body: bytes | None) -> Exchange:
        exchange = Exchange(
            method=scope["method"],
            path=scope["path"],
            query=dict(QueryParams(scope["query_string"])),
            headers={name: _without_credential(name, value) for name, value in Headers(scope=scope).items()},
            body=_parsed(body),
            at=self._account.now(),
        )
        self._journal.append(exchange)
        if len(self._journal) > JOURNAL_LENGTH:
            del self._journal[0]
        # The handlers read it here: a body of 256 MB is parsed once.
        scope["sandbox.json"] = exchange.body
        return exchange

    def _noting(self, send: Send, scope: Scope, exchange: Exchange) -> Send:
        """Complete an answer with the headers that all have, and note its status."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.setdefault("request-id", scope["sandbox.request_id"])
                headers.setdefault("anthropic-organization-id", ORGANIZATION)
                # By the account's clock: clients reckon ages by it.
                headers.setdefault("date", formatdate(self._account.now(), usegmt=True))
            await send(message)

        return noting

    def _fault(self, line: str) -> Fault | None:
        for fault in self._faults:
            if re.search(fault.match, line):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    def _limit(self, scope: Scope) -> Response:
        headers = {
            "retry-after": self._retry_after,
            "anthropic-ratelimit-requests-limit": str(self._limit_every),
            "anthropic-ratelimit-requests-remaining": "0",
        }
        return error_answer(scope, APIError(429, "This request would exceed the sandbox's rate limit."), headers)

    async def _handle(self, scope: Scope, body: bytes | None, receive: Receive, send: Send) -> None:
        if body is None:
            answer = error_answer(scope, APIError(413, "Request exceeds the maximum size of 256 MB."))
            await answer(scope, receive, send)
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._api(scope, again, send)


async def _read(receive: Receive) -> bytes | None:
    """Read a request's body; None if it is larger than the API takes.

    Raises:
        ClientDisconnect: The client went away before it had sent all of it.
    """
    chunks, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        length += len(chunk)
        if length <= LARGEST_BODY:
            chunks.append(chunk)
        # What is too large is read to its end all the same: who is still sending does not read the answer.
        if not message.get("more_body", False):
            return b"".join(chunks) if length <= LARGEST_BODY else None


async def _pause(receive: Receive, seconds: float | None) -> bool:
    """Wait, for ever if seconds is None, or until the client has gone. Return whether it is still there."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    if seconds == 0:
        return True
    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return True
    return False


def _parsed(body: bytes | None) -> Any:
    """Parse a body; None if it is no JSON that could be sent on: Python takes more than the standard has."""
    if not body:
        return None
    try:
        parsed = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(parsed, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError):
        return None
    return parsed


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no number of JSON")
    return value


def _without_credential(name: str, value: str) -> str:
    """Shorten the value of a header that holds a credential to what tells two of them apart."""
    if name not in _CREDENTIALS:
        return value
    scheme, space, credential = value.partition(" ")
    if name != "authorization" or not space:
        scheme, space, credential = "", "", value
    # Of a short one, the last four characters would be most of it.
    return f"{scheme}{space}…{credential[-4:] if len(credential) >= 8 else ''}"
