"""The interceptor in front of the API: it keeps the journal, injects the faults and limits the rate."""

import asyncio
import json
import math
from email.utils import formatdate
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .account import Account
from .bodies import read_body, refuse, replaying
from .errors import APIError, error_response
from .faults import Fault, take_fault
from .journal import Journal, JournalEntry

MAX_BODY = 256 * 2**20  # bytes; batch processing guide: a batch is at most 256 MB
ORGANIZATION_ID = "00000000-0000-4000-8000-000000000000"


class Interceptor:
    """Stands between the clients and the API.

    Args:
        api: The API as it is when nothing goes wrong.
        account: The account, whose clock sets the time.
        journal: The journal of all requests.
        faults: The faults to inject. A request gets the first one that matches.
        limit_every: Every so many requests, one is answered 429; 0 for none.
        retry_after: The ``retry-after`` header of that response.
    """

    def __init__(
        self,
        api: ASGIApp,
        *,
        account: Account,
        journal: Journal,
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
        """Answer one ASGI request."""
        self._requests += 1
        limited = self._limit_every > 0 and self._requests % self._limit_every == 0
        scope["sandbox.request_id"] = f"req_01sandbox{self._requests:015d}"
        try:
            body = await read_body(scope, receive, MAX_BODY)
        except ClientDisconnect:
            return
        # The endpoints read it here, so that a body of 256 MB is parsed once.
        scope["sandbox.json"] = _parsed(body)
        entry = self._journal.record(scope, body, scope["sandbox.json"], self._account.now())
        send = self._recording(send, scope, entry)
        if body is None:
            too_large = APIError(413, "Request exceeds the maximum size of 256 MB.")
            await refuse(error_response(scope, too_large), scope, receive, send)
        elif fault := take_fault(self._faults, entry.method, entry.path):
            await self._inject(fault, scope, body, receive, send)
        elif limited:
            await self._limit(scope)(scope, receive, send)
        else:
            await self._pass_on(scope, body, receive, send)

    async def _inject(self, fault: Fault, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        if fault.after:
            await self._pass_on(scope, body, receive, hold)
        if not await _pause(receive, None if fault.hang else fault.delay):
            return
        if fault.cut is not None:
            send = _cutting(send, fault.cut, scope)
        if fault.drop:
            scope["sandbox.connection"].abort()
            await _pause(receive, None)
        elif fault.status is not None or fault.body is not None:
            await fault.response(scope)(scope, receive, send)
        elif fault.after:
            for message in held:
                await send(message)
        else:
            await self._pass_on(scope, body, receive, send)

    def _recording(self, send: Send, scope: Scope, entry: JournalEntry) -> Send:
        """Record the status of the response, and add the headers that all responses have."""

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._journal.record_status(entry, message["status"])
                headers = MutableHeaders(scope=message)
                headers.setdefault("request-id", scope["sandbox.request_id"])
                headers.setdefault("anthropic-organization-id", ORGANIZATION_ID)
                if workspace := scope.get("sandbox.workspace"):
                    headers.setdefault("anthropic-workspace-id", workspace)
                # By the account's clock, since clients compute ages from it.
                headers.setdefault("date", formatdate(self._account.now(), usegmt=True))
            await send(message)

        return recording

    def _limit(self, scope: Scope) -> Response:
        headers = {
            "retry-after": self._retry_after,
            "anthropic-ratelimit-requests-limit": str(self._limit_every),
            "anthropic-ratelimit-requests-remaining": "0",
        }
        return error_response(scope, APIError(429, "This request would exceed the sandbox's rate limit."), headers)

    async def _pass_on(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        await self._api(scope, replaying(body, receive), send)


def _cutting(send: Send, left: int, scope: Scope) -> Send:
    """Close the connection after so many bytes of the body."""

    async def cutting(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.body" and len(message.get("body", b"")) >= left >= 0:
            await send({**message, "body": message["body"][:left], "more_body": True})
            left = -1
            await asyncio.sleep(0)
            scope["sandbox.connection"].close()
        elif left >= 0:
            left -= len(message.get("body", b""))
            await send(message)

    return cutting


async def _pause(receive: Receive, seconds: float | None) -> bool:
    """Wait until the client disconnects, for at most so many seconds; None is forever.

    Returns:
        Whether the client is still connected.
    """

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    if seconds == 0:
        return True
    try:
        await asyncio.wait_for(disconnected(), seconds)
    except TimeoutError:
        return True
    return False


def _parsed(body: bytes | None) -> Any:
    """Parse a JSON body; return None for anything else. Python's parser accepts more than the standard allows."""
    if not body:
        return None
    try:
        parsed = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(parsed, ensure_ascii=False).encode()  # half of a surrogate pair is not a character
    except (ValueError, RecursionError):
        return None
    return parsed


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is not a JSON number")
    return value
