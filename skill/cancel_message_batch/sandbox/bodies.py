"""Request bodies: read up to a limit while they arrive, and refused beyond it."""

import asyncio
import json
import math
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

_LINGER = 5.0  # seconds


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """Read the body of a request; return None if it is larger than the limit. It is not kept in memory then."""
    announced = Headers(scope=scope).get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        return None
    body = bytearray()
    async for chunk in Request(scope, receive).stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def parsed(body: bytes) -> Any:
    """Parse a JSON body; return None for anything else. Python's parser accepts more than the standard allows."""
    try:
        value = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is not a character
    except (ValueError, RecursionError):
        return None
    return value


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is not a JSON number")
    return value


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a response to a request whose body is not read, and close the connection.

    Closing at once would reset the connection, and a client that is still sending would not see the response. So the
    rest of the body is received and dropped first, for a few seconds at most.
    """
    response.headers["connection"] = "close"

    async def hold_open(message: Message) -> None:
        # The response is complete for the client, by its content-length, and the connection is still open.
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await response(scope, receive, hold_open)
    try:
        async with asyncio.timeout(_LINGER):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
