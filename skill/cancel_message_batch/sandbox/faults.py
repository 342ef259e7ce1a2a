"""The faults that a test can inject into the sandbox's API."""

import asyncio
import json
import re
from collections.abc import Callable
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Protocol, Self, get_args

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .changes import Change, changed
from .errors import ERROR_TYPES, APIError, error_response
from .inputs import in_words
from .simulated_batch import DAY

_HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
_HeaderValue = Annotated[str, Field(pattern=r"^[\t\x20-\x7e\xa0-\xff]*$")]

Operation = Literal["create", "list", "retrieve", "cancel", "delete", "results", "messages"]

_OPERATIONS: dict[Operation, re.Pattern[str]] = {
    "create": re.compile("POST .*/messages/batches"),
    "list": re.compile("GET .*/messages/batches"),
    "retrieve": re.compile("GET .*/messages/batches/[^/]+"),
    "cancel": re.compile("POST .*/messages/batches/[^/]+/cancel"),
    "delete": re.compile("DELETE .*/messages/batches/[^/]+"),
    "results": re.compile("GET .*/messages/batches/[^/]+/results"),
    "messages": re.compile("POST .*/messages"),
}
_BEGINNING = re.compile("([A-Z]+( (/.*)?)?)?")  # of METHOD /path
_TRICKLE = 1.0  # seconds between two bytes


class Connections(Protocol):
    """What a fault does beneath HTTP, where ASGI has no message for it."""

    def close(self, scope: Scope, *, reset: bool = False) -> None:
        """Close the connection of a request after what was sent so far; or reset it."""

    def write(self, scope: Scope, data: bytes) -> None:
        """Send bytes as they are over the connection of a request."""

    def refuse(self, seconds: float, scope: Scope) -> None:
        """Reset the connection of a request, close all others, and refuse new ones for this long."""


def _text_or_object(body: Any) -> Any:
    if not isinstance(body, bytes | str | dict | None):
        raise ValueError("Input should be a text or an object")
    return body


@dataclass(config=ConfigDict(extra="forbid", ser_json_bytes="base64"))
class Fault:
    """Something that goes wrong with a request, or with its response.

    With no status and no body, the real response is sent, after the delay.

    Args:
        match: Which requests fail, by their ``METHOD /path``. A plain text such as ``cancel`` matches anywhere in
            it. A text with ``*`` (any characters) must match the whole, such as ``POST */cancel`` or
            ``*batches/*/cancel``.
        operation: Which requests fail, by what they do.
        call: The first of these requests that fails: 1 for the next one.
        times: How many of them fail, from that one on; 0 for all.
        status: The HTTP status of the response. Without a body of its own it gets the API's error envelope.
        retry_after_date: The ``retry-after`` header as a date, this many seconds after the account's time.
        body: The body of the response; a dict is sent as JSON.
        content_type: The content type of the response, if it is not JSON.
        delay: Seconds of real time before the response; with ``trickle``, before each byte, by default 1.
        hang: No response is ever sent.
        drop: The connection is closed without a response.
        reset: The connection is reset without a response, and without reading the request's body.
        refuse: The connection is reset, and new ones are refused for this many seconds. That begins at once if nothing
            says for which requests.
        cut: The connection is closed after this many bytes of the response's body. If there are no more, the fault is
            still to come.
        trickle: The response's headers or its body arrive one byte at a time.
        change: What is different in the real response.
        after: The request takes effect first, and only its response is lost. By default a request takes effect only if
            its real response is sent: late, slowly, cut or changed.

    Raises:
        ValueError: A field has a wrong value, nothing goes wrong, or two fields exclude each other.
    """

    match: str = Field(default="", max_length=1000)
    operation: Operation | None = None
    call: int = Field(default=1, ge=1)
    times: int = Field(default=1, ge=0)
    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[_HeaderName, _HeaderValue] = Field(default_factory=dict)
    retry_after_date: float | None = Field(default=None, ge=-DAY, le=366 * DAY)
    body: Annotated[bytes | str | dict[str, Any] | None, BeforeValidator(_text_or_object)] = None
    content_type: _HeaderValue | None = None
    delay: float = Field(default=0.0, ge=0, le=DAY)
    hang: bool = False
    drop: bool = False
    reset: bool = False
    refuse: float | None = Field(default=None, gt=0, le=DAY)
    cut: int | None = Field(default=None, ge=0)
    trickle: Literal["headers", "body"] | None = None
    change: Change | None = None
    after: bool = False

    @model_validator(mode="after")
    def _one_thing_happens(self) -> Self:
        if self.match and self.operation:
            raise ValueError("match, operation: only one of them can be given")
        if "*" in self.match and not _BEGINNING.fullmatch(self.match.partition("*")[0]):
            raise ValueError("match: with * it is for the whole METHOD /path; begin with * or a method")
        if self.status in {204, 304} and self.body not in (None, "", b""):
            raise ValueError(f"status, body: a response with {self.status} has no body")
        ends = {"hang": self.hang, "drop": self.drop, "reset": self.reset, "refuse": self.refuse is not None}
        ends |= {"status or body": self.answers, "change": self.change is not None}
        given = [name for name, value in ends.items() if value]
        if len(given) > 1:
            raise ValueError(f"{', '.join(given)}: only one of them can happen")
        if (self.headers or self.retry_after_date is not None) and not self.answers:
            raise ValueError("headers, retry_after_date: they need a status or a body")
        if not given and not (self.delay or self.cut is not None or self.trickle or self.content_type is not None):
            raise ValueError("nothing goes wrong: give a name, or for example a status")
        return self

    @property
    def answers(self) -> bool:
        """Whether the response is one of its own, not the real one."""
        return self.status is not None or self.body is not None

    @property
    def at_once(self) -> bool:
        """Whether this fault begins before any request."""
        return self.refuse is not None and not self.match and self.operation is None and self.call == 1

    @property
    def unread(self) -> bool:
        """Whether the request's body is not read."""
        return (self.reset or self.refuse is not None) and not self.after

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault is about a request."""
        line = f"{method} {path}"
        if self.operation and not _OPERATIONS[self.operation].fullmatch(line.rstrip("/")):
            return False
        if "*" not in self.match:
            return self.match in line
        # Only * is special: a path may contain the other characters that fnmatch treats specially.
        return fnmatchcase(line, self.match.replace("[", "[[]").replace("?", "[?]"))

    async def apply(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        connections: Connections,
        now: float,
        missed: Callable[[], None],
    ) -> None:
        """Answer one request as this fault says, with or without the app; call ``missed`` if it does not happen."""
        kept = await _kept(app, scope, receive) if self.after else None
        if not self.trickle and await _disconnects(receive, None if self.hang else self.delay):
            return
        if self.drop or self.reset or self.refuse is not None:
            if self.refuse is not None:
                connections.refuse(self.refuse, scope)  # resets it once no new one is accepted
            else:
                connections.close(scope, reset=not self.drop)
            await _disconnects(receive, None)
            return
        answer = app if kept is None else kept
        if self.answers:
            answer = self._response(scope, now)
        elif self.change or self.content_type or self.trickle:
            answer = self._changed(kept or await _kept(app, scope, receive))
        if self.cut is not None:
            send = _cutting(self.cut, scope, receive, send, connections, missed=missed)
        if self.trickle == "body":
            send = _trickling(self.delay or _TRICKLE, receive, send)
        if self.trickle == "headers":
            response = answer if isinstance(answer, Response) else await _kept(answer, scope, receive)
            if self.cut is not None and self.cut >= len(response.body):
                missed()
            await self._trickle_all(response, scope, receive, connections)
        else:
            await answer(scope, receive, send)

    def _response(self, scope: Scope, now: float) -> Response:
        status, headers = 200 if self.status is None else self.status, dict(self.headers)
        if self.retry_after_date is not None:
            headers["retry-after"] = formatdate(now + self.retry_after_date, usegmt=True)
        if self.body is None and status >= 400:
            return error_response(scope, APIError(status, "The sandbox fails this request on purpose."), headers)
        body = json.dumps(self.body) if isinstance(self.body, dict) else self.body
        return Response(body, status, headers, self.content_type or "application/json")

    def _changed(self, response: Response) -> Response:
        """Change the real response."""
        if self.change:
            response = changed(response.status_code, response.headers, bytes(response.body), self.change)
        if self.content_type:
            response.headers["content-type"] = self.content_type
        return response

    async def _trickle_all(self, response: Response, scope: Scope, receive: Receive, connections: Connections) -> None:
        """Send the headers byte by byte, then the body, and close the connection."""
        if response.body:  # results come without it, and a cut could not be seen
            response.headers.setdefault("content-length", str(len(response.body)))
        lines = [b"HTTP/1.1 %d Slow" % response.status_code, *(b"%b: %b" % pair for pair in response.raw_headers)]
        for byte in b"\r\n".join([*lines, b"connection: close", b"", b""]):
            if await _disconnects(receive, self.delay or _TRICKLE):
                return
            connections.write(scope, bytes([byte]))
        connections.write(scope, bytes(response.body)[: self.cut])
        connections.close(scope)
        await _disconnects(receive, None)


_SPEND_LIMIT = {
    "type": "error",
    "error": {
        "type": "rate_limit_error",
        "message": "You have reached your API usage limit for this month.",
        "details": {"error_code": "enforced_spend_limit_reached"},
    },
}

FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"refuse": 5.0},
    "reset before reading": {"reset": True},
    "reset after the effect": {"reset": True, "after": True},
    "no answer": {"hang": True},
    "no answer after the effect": {"hang": True, "after": True},
    "trickling headers": {"trickle": "headers"},
    "trickling body": {"trickle": "body"},
    "cut body": {"cut": 20},
    **{f"status {status}": {"status": status} for status in (400, *ERROR_TYPES, 500, 503)},
    "status 500 after the effect": {"status": 500, "after": True},
    "retry-after in seconds": {"status": 429, "headers": {"retry-after": "2"}},
    "retry-after as a date": {"status": 429, "retry_after_date": 2.0},
    "retry-after absurd": {"status": 429, "headers": {"retry-after": "99999999999999999999"}},
    "retry-after no number": {"status": 429, "headers": {"retry-after": "soon"}},
    "spend limit": {"status": 429, "body": _SPEND_LIMIT},
    "HTML page": {"status": 200, "body": "<html><h1>Please log in</h1></html>", "content_type": "text/html"},
    "HTML error": {"status": 502, "body": "<html><h1>Bad gateway</h1></html>", "content_type": "text/html"},
    "wrong content type": {"content_type": "text/plain"},
    "redirect": {"status": 307, "body": "", "headers": {"location": "http://127.0.0.1:9/"}},
    **{change: {"change": change} for change in get_args(Change)},
}
"""The faults that have a name, and their fields."""


def make_fault(fields: dict[str, Any]) -> Fault:
    """Make a fault from its fields. ``name`` is that of one in ``FAULTS``, whose fields come first.

    Raises a ValueError that says what is wrong.
    """
    name = fields.get("name")
    if name is not None and (not isinstance(name, str) or name not in FAULTS):
        raise ValueError(f'name: there is no fault "{name}", but: {", ".join(FAULTS)}')
    given = {key: value for key, value in fields.items() if key != "name"}
    try:
        return Fault(**{**(FAULTS[name] if name else {}), **given})
    except ValidationError as error:
        raise ValueError(in_words(error)) from error


def fields_of(fault: Fault) -> dict[str, Any]:
    """Return the fields of a fault for JSON, except those that have their default."""
    fields: dict[str, Any] = TypeAdapter(Fault).dump_python(fault, mode="json", exclude_defaults=True)
    return fields


def read_faults(text: str | bytes) -> list[Fault]:
    """Read the faults of a JSON text: a list of objects with the fields of a fault. Raises a ValueError."""
    try:
        listed = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(listed, list) or not all(isinstance(fields, dict) for fields in listed):
        raise ValueError("the faults are a JSON list of objects")
    faults = []
    for index, fields in enumerate(listed):
        try:
            faults.append(make_fault(fields))
        except ValueError as error:
            raise ValueError(f"{index}: {error}") from error
    return faults


def take_fault(faults: list[Fault], method: str, path: str) -> Fault | None:
    """Find the first fault for a request and count it down, or return None. Every fault counts its requests."""
    taken = None
    for fault in [fault for fault in faults if fault.matches(method, path)]:
        if fault.call > 1:
            fault.call -= 1
        elif taken is None:
            taken = fault
            if fault.times == 1:
                faults.remove(fault)
            elif fault.times:
                fault.times -= 1
    return taken


def put_back(faults: list[Fault], fault: Fault) -> None:
    """Undo the countdown of a fault that did not happen."""
    if all(each is not fault for each in faults):
        faults.insert(0, fault)
    elif fault.times:
        fault.times += 1


async def _kept(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    """Let the app answer a request, and return its response instead of sending it."""
    start: Message = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            start = message
        body += message.get("body", b"")

    await app(scope, receive, keep)
    response = Response(bytes(body), start["status"])
    response.raw_headers = list(start["headers"])
    return response


def _cutting(
    left: int, scope: Scope, receive: Receive, send: Send, connections: Connections, *, missed: Callable[[], None]
) -> Send:
    """Close the connection after this many bytes of the body, if it has more."""

    async def cutting(message: Message) -> None:
        nonlocal left
        body = message.get("body", b"")
        if message["type"] == "http.response.start" or len(body) <= left:
            left -= len(body)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                missed()  # before the client can send the next request
            await send(message)
        elif left >= 0:
            await send({**message, "body": body[:left], "more_body": True})
            left = -1
            connections.close(scope)
            await _disconnects(receive, None)

    return cutting


def _trickling(pause: float, receive: Receive, send: Send) -> Send:
    """Send the body one byte at a time."""

    async def trickling(message: Message) -> None:
        for byte in message.get("body", b""):
            if await _disconnects(receive, pause):
                return
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await send({**message, "body": b""} if "body" in message else message)

    return trickling


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
