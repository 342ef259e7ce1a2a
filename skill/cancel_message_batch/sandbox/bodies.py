"""Request bodies: read up to a limit while they arrive, and refused beyond it."""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

_LINGER = 5.0  # seconds


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """Read the body of a request.

    Args:
        scope: The request, in ASGI's form.
        receive: Receives the next part of the body.
        limit: The maximum number of bytes. No more than these are kept in memory.

    Returns:
        The body. None if it is larger than the limit; then a part of it may still be on its way.

    Raises:
        ClientDisconnect: The client disconnected before it had sent the whole body.
    """
    announced = Headers(scope=scope).get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def replaying(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that yields a body that was already read, and then the disconnect."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


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
