"""The interceptor in front of the API: it keeps the journal, injects the faults and limits the rate."""

import asyncio
from dataclasses import dataclass
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .account import Account
from .bodies import parsed, read_body, refuse
from .errors import APIError, error_response
from .faults import Fault, take_fault
from .journal import Journal, JournalEntry

MAX_BODY = 256 * 2**20  # bytes; batch processing guide: a batch is at most 256 MB
ORGANIZATION_ID = "00000000-0000-4000-8000-000000000000"


@dataclass
class Interceptor:
    """Stands between the clients and the API."""

    api: ASGIApp
    account: Account
    journal: Journal
    faults: list[Fault]
    limit_every: int
    retry_after: str
    _requests: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        self._requests += 1
        number = self._requests
        scope["sandbox.request_id"] = f"req_01sandbox{number:015d}"
        try:
            body = await read_body(scope, receive, MAX_BODY)
        except ClientDisconnect:
            return
        # The endpoints read it here, so that a body of 256 MB is parsed once.
        scope["sandbox.json"] = parsed(body or b"")
        entry = self.journal.record(scope, body, scope["sandbox.json"], self.account.now())
        send = self._recording(send, scope, entry)
        if body is None:
            too_large = APIError(413, "Request exceeds the maximum size of 256 MB.")
            await refuse(error_response(scope, too_large), scope, receive, send)
        elif fault := take_fault(self.faults, entry.method, entry.path):
            await self._inject(fault, scope, receive, send)
        elif self.limit_every > 0 and number % self.limit_every == 0:
            limited = APIError(429, "This request would exceed the sandbox's rate limit.")
            headers = {
                "retry-after": self.retry_after,
                "anthropic-ratelimit-requests-limit": str(self.limit_every),
                "anthropic-ratelimit-requests-remaining": "0",
            }
            await error_response(scope, limited, headers)(scope, receive, send)
        else:
            await self.api(scope, receive, send)

    async def _inject(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        if fault.after:
            await self.api(scope, receive, hold)
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
            await self.api(scope, receive, send)

    def _recording(self, send: Send, scope: Scope, entry: JournalEntry) -> Send:
        """Record the status of the response, and add the headers that all responses have."""

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                if 400 <= message["status"] < 500:
                    entry.body = None
                headers = MutableHeaders(scope=message)
                headers.setdefault("request-id", scope["sandbox.request_id"])
                headers.setdefault("anthropic-organization-id", ORGANIZATION_ID)
                if workspace := scope.get("sandbox.workspace"):
                    headers.setdefault("anthropic-workspace-id", workspace)
                # By the account's clock, since clients compute ages from it.
                headers.setdefault("date", formatdate(self.account.now(), usegmt=True))
            await send(message)

        return recording


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
    """Wait until the client disconnects, for at most so many seconds; return whether it is still connected."""

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
