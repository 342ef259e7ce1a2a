"""What happens to every request before the API: checks of its origin and size, the journal, the faults."""

import asyncio
import contextlib
import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .account import Account
from .errors import APIError, error_response
from .faults import Connections, Fault, put_back, take_fault
from .journal import Journal, JournalEntry

ADMIN_PREFIX = "/_sandbox"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BODY = 256 * 2**20  # bytes; batch processing guide: a batch is at most 256 MB
MAX_ADMIN_BODY = 2**20
ORGANIZATION_ID = "00000000-0000-4000-8000-000000000000"

_LINGER = 5.0  # seconds
_HOST = re.compile(r"(?:https?:)?//(\[[0-9a-f:]+\]|[^][@:/?#]+)(?::[0-9]+)?")


@dataclass
class Interceptor:
    """Stands between the clients and an app: the API, and the admin API below its prefix.

    Journal, faults and rate limit are for the API only. The scope holds the request's id and its body, parsed.
    """

    app: ASGIApp
    account: Account
    journal: Journal
    faults: list[Fault]
    hosts: frozenset[str]  # the names of this machine
    limit_every: int
    retry_after: str
    connections: Connections
    _received: int = 0
    _received_by_api: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI request."""
        self._received += 1
        scope["sandbox.request_id"] = f"{self.account.request_ids}{self._received:08d}"
        admin = scope["path"] == "/" or f"{scope['path']}/".startswith(f"{ADMIN_PREFIX}/")
        limit = MAX_ADMIN_BODY if admin else MAX_BODY
        if problem := _refusal(scope, self.hosts, admin=admin):
            await _refuse(APIError(403, problem), scope, receive, self._completing(scope, send))
            return
        fault = None if admin else take_fault(self.faults, scope["method"], scope["path"])
        if fault is not None and fault.unread:
            self.journal.record(scope, None, None, self.account.now())
            await self._apply(fault, scope, receive, send)
            return
        try:
            body = await _read_body(scope, receive, limit)
        except ClientDisconnect:
            return
        # Parsed once for the journal and the endpoint, since a body may have 256 MB.
        scope["sandbox.json"] = _parse(body or b"")
        entry = None
        if not admin:
            entry = self.journal.record(scope, body, scope["sandbox.json"], self.account.now())
            self._received_by_api += 1
            fault = fault or self._rate_limit()
        send = self._completing(scope, send, entry, refuses=fault is None or not fault.answers)
        if body is None:
            await _refuse(
                APIError(413, f"Request exceeds the maximum size of {limit // 2**20} MB."), scope, receive, send
            )
        elif fault is not None:
            await self._apply(fault, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _apply(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        now = self.account.now()
        missed = partial(put_back, self.faults, fault)
        await fault.apply(self.app, scope, receive, send, connections=self.connections, now=now, missed=missed)

    def _rate_limit(self) -> Fault | None:
        if self.limit_every == 0 or self._received_by_api % self.limit_every:
            return None
        headers = {
            "retry-after": self.retry_after,
            "anthropic-ratelimit-requests-limit": str(self.limit_every),
            "anthropic-ratelimit-requests-remaining": "0",
        }
        return Fault(status=429, headers=headers)

    def _completing(self, scope: Scope, send: Send, entry: JournalEntry | None = None, *, refuses: bool = True) -> Send:
        """Add the headers that all responses have, and note the status of the response in the journal.

        The journal keeps the body of a request that a fault refuses, but not of one that the API itself ``refuses``.
        """

        async def completing(message: Message) -> None:
            if message["type"] == "http.response.start":
                if entry:
                    entry.status = message["status"]
                    if refuses and 400 <= message["status"] < 500:
                        entry.body = None
                headers = MutableHeaders(scope=message)
                headers.setdefault("request-id", scope["sandbox.request_id"])
                headers.setdefault("anthropic-organization-id", ORGANIZATION_ID)
                if workspace := scope.get("sandbox.workspace"):
                    headers.setdefault("anthropic-workspace-id", workspace)
                # By the account's clock, since clients compute ages from it.
                headers.setdefault("date", formatdate(self.account.now(), usegmt=True))
            await send(message)

        return completing


def _refusal(scope: Scope, names: Iterable[str], *, admin: bool) -> str:
    """Return why a request is refused, since a web page may have sent it through a browser; empty if it is not.

    The host is checked against DNS rebinding, where the name of a foreign page resolves to this machine. The origin
    is checked because a foreign page may send a POST without asking first. A request without an origin does not come
    from a page. No response allows a page anything by CORS. The admin API needs no credential, so it is for clients on
    this machine only.
    """
    headers = Headers(scope=scope)
    hosts = {_host_name(f"//{host}") for host in headers.getlist("host")}
    if not hosts or not hosts.issubset(names):
        return "The Host header does not name this machine."
    if not LOOPBACK_NAMES.issuperset(_host_name(origin) for origin in headers.getlist("origin")):
        return "Web pages from other machines may not use the sandbox."
    if admin and not (scope["client"] and ipaddress.ip_address(scope["client"][0]).is_loopback):
        return "The sandbox's admin API can only be used from the same machine."
    return ""


def _host_name(address: str) -> str | None:
    """Return the host of an address in lower case, without brackets and port; None if there is none."""
    found = _HOST.fullmatch(address.lower())
    return found[1].strip("[]") if found else None


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """Read the body of a request; return None, and keep nothing of it, once it is larger than the limit."""
    if int(Headers(scope=scope).get("content-length", "0")) > limit:
        return None
    body = bytearray()
    async for chunk in Request(scope, receive).stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _parse(body: bytes) -> Any:
    """Parse a JSON body; return None for anything else. Python's parser accepts more than the standard allows."""
    try:
        value = json.loads(body.decode())
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


async def _refuse(error: APIError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body is not read, and close the connection.

    Closing at once would reset the connection, and a client that is still sending would not see the response. So the
    rest of the body is received and dropped first, for a few seconds at most.
    """

    async def hold_open(message: Message) -> None:
        # For the client the response is complete, by its content-length, but the connection is still open.
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await error_response(scope, error, {"connection": "close"})(scope, receive, hold_open)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
