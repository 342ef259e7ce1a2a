"""The faults that a test can inject into the sandbox's API."""

import asyncio
import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import APIError, error_response

_HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
_HeaderValue = Annotated[str, Field(pattern=r"^[\t\x20-\x7e\xa0-\xff]*$")]

Close = Callable[[Scope], None]
"""Closes the connection of a request after what was sent so far. ASGI has no message for this."""


@dataclass(config=ConfigDict(extra="forbid"))
class Fault:
    """Something that goes wrong with a request, or with its response.

    With no status and no body, the real response is sent, after the delay.

    Args:
        match: Which requests fail, by their ``METHOD /path``. A plain text such as ``cancel`` matches anywhere in
            it. A text with ``*`` (any characters) must match the whole, such as ``POST */cancel``.
        times: How many matching requests fail; 0 for all.
        status: The HTTP status of the response. Without a body of its own it gets the API's error envelope.
        body: The body of the response; a dict is sent as JSON.
        content_type: The content type of the response, if it is not JSON.
        delay: Seconds of real time before the response.
        hang: No response is ever sent.
        drop: The connection is closed without a response.
        cut: The connection is closed after this many bytes of the response's body.
        after: The request takes effect first, and only its response is lost. By default it has no effect.
    """

    match: str = Field(default="", max_length=1000)
    times: int = Field(default=1, ge=0)
    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[_HeaderName, _HeaderValue] = Field(default_factory=dict)
    body: bytes | str | dict[str, Any] | None = None
    content_type: _HeaderValue | None = None
    delay: float = Field(default=0.0, ge=0, le=86_400)
    hang: bool = False
    drop: bool = False
    cut: int | None = None
    after: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault applies to a request."""
        line = f"{method} {path}"
        if "*" not in self.match:
            return self.match in line
        # Only * is special: a path may contain the other characters that fnmatch treats specially.
        return fnmatchcase(line, self.match.replace("[", "[[]").replace("?", "[?]"))

    async def apply(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, close: Close) -> None:
        """Answer one request as this fault says, with or without the app. ``close`` closes the connection."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        if self.after:
            await app(scope, receive, keep)
        if await _disconnects(receive, None if self.hang else self.delay):
            return
        if self.cut is not None:
            send = _cutting(self.cut, scope, receive, send, close)
        if self.drop:
            close(scope)
            await _disconnects(receive, None)
        elif self.status is not None or self.body is not None:
            await self._response(scope)(scope, receive, send)
        elif self.after:
            for message in kept:
                await send(message)
        else:
            await app(scope, receive, send)

    def _response(self, scope: Scope) -> Response:
        status = 200 if self.status is None else self.status
        if self.body is None and status >= 400:
            return error_response(scope, APIError(status, "The sandbox fails this request on purpose."), self.headers)
        body = json.dumps(self.body) if isinstance(self.body, dict) else self.body
        return Response(body, status, self.headers, self.content_type or "application/json")


def take_fault(faults: list[Fault], method: str, path: str) -> Fault | None:
    """Find the first fault that matches a request and count it down, or return None."""
    fault = next((fault for fault in faults if fault.matches(method, path)), None)
    if fault is not None:
        fault.times -= 1
        if fault.times == 0:
            faults.remove(fault)
    return fault


def _cutting(left: int, scope: Scope, receive: Receive, send: Send, close: Close) -> Send:
    """Close the connection after this many bytes of the body."""

    async def cutting(message: Message) -> None:
        nonlocal left
        body = message.get("body", b"")
        if message["type"] == "http.response.start" or len(body) < left:
            left -= len(body)
            await send(message)
        elif left >= 0:
            await send({**message, "body": body[:left], "more_body": True})
            left = -1
            close(scope)
            await _disconnects(receive, None)

    return cutting


async def _disconnects(receive: Receive, seconds: float | None) -> bool:
    """Wait until the client disconnects, for at most this many seconds; return whether it did."""
    if seconds == 0:
        return False
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
