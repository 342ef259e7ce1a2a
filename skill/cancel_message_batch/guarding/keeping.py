"""How a ``guard`` tells each ``run`` around its program that a batch is kept.

``run`` answers a create with a header that holds a path of its own proxy, and whoever posts to that path keeps the
batch. Nothing of it reaches the API. It works in any thread or process, with any environment, and without the record.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

HEADER = "cancel-message-batch-keep"
PATH = b"/.cancel-message-batch/keep/"  # of the proxy, behind its token; the id of the batch follows

_HOSTS = {"127.0.0.1", "localhost"}  # of the proxy, as it may be called
_PATIENCE = 5.0  # seconds for a response; an async guard waits for it too

TOO_LATE, NOT_PASSED_ON = 409, 502
_REASONS = {
    TOO_LATE: "the command has already ended",
    NOT_PASSED_ON: "another `run` around it could not be reached",
}


def keep_url(url: str, headers: Mapping[str, str]) -> str:
    """Return where a batch is kept, from the URL and the headers of the response to its create; empty without a `run`.

    Only the server that responded is ever told, and only on this machine.
    """
    parts, path = urlsplit(url), headers.get(HEADER, "")
    if parts.scheme != "http" or parts.hostname not in _HOSTS or PATH.decode() not in path:
        return ""
    return f"http://{parts.hostname}:{parts.port or 80}/{path.lstrip('/')}"


def tell(url: str) -> str:
    """Tell `run` that a batch is kept; returns why that failed, or nothing."""
    import ssl  # only now: few programs need these

    import httpx2

    from cancel_message_batch.api.client import build_client

    no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which take long to read
    try:
        with build_client(httpx2.Client, timeout=_PATIENCE, trust_env=False, verify=no_certificates) as client:
            status = client.request("POST", url).status_code
    except httpx2.HTTPError:
        return "it did not respond"
    return "" if status == 204 else _REASONS.get(status, f"HTTP {status}")
