"""The guard in front of the sandbox: it refuses requests that a web page can send through a browser."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .bodies import refuse
from .errors import APIError, error_response

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class LoopbackGuard:
    """Lets a request through if its ``Host`` and its ``Origin`` are names of this machine, with any port.

    The host is checked against DNS rebinding, where the name of a foreign page resolves to this machine. The origin
    is checked because a foreign page may send a POST without asking first. A request without an origin does not come
    from a page. No request is granted anything by CORS.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES.union(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        headers = Headers(scope=scope)
        hosts = [_host_name(f"//{host}") for host in headers.getlist("host")]
        origins = [_host_name(origin) for origin in headers.getlist("origin")]
        if not hosts or not self._hosts.issuperset(hosts):
            problem = "The Host header does not name this machine."
        elif not LOOPBACK_NAMES.issuperset(origins):
            problem = "Web pages from other machines may not use the sandbox."
        else:
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("sandbox.request_id", "req_01sandboxguard")
        await refuse(error_response(scope, APIError(403, problem), {"request-id": request_id}), scope, receive, send)


def _host_name(address: str) -> str | None:
    """Return the host of an address in lower case, without brackets and port; None if there is none."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for a port that is not a number
    except ValueError:
        return None
    if parts.scheme not in {"", "http", "https"} or parts.username is not None or parts.path or parts.query:
        return None
    return parts.hostname
