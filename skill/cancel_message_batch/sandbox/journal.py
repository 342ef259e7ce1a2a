"""The journal: every request to the sandbox's API, and how it was answered."""

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

MAX_ENTRIES = 100_000  # the oldest are forgotten first

_CREDENTIAL_HEADERS = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})


@dataclass
class JournalEntry:
    """One request to the API, and how it was answered.

    Args:
        method: The HTTP method.
        path: The path, without the query.
        query: The query parameters.
        headers: The headers, with names in lower case. Only the last four characters of a credential are kept.
        body: The body, if it is JSON.
        at: When the request came, in seconds since the epoch by the account's clock.
        status: The HTTP status of the response. None until there is one, and if none was sent.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float
    status: int | None = None


def add_entry(journal: list[JournalEntry], scope: Scope, body: Any, at: float) -> JournalEntry:
    """Add a request to the journal.

    Args:
        journal: The journal.
        scope: The request, in ASGI's form.
        body: The parsed body.
        at: When the request came, in seconds since the epoch.

    Returns:
        The new entry.
    """
    entry = JournalEntry(
        method=scope["method"],
        path=scope["path"],
        query=dict(QueryParams(scope["query_string"])),
        headers={name: _without_credential(name, value) for name, value in Headers(scope=scope).items()},
        body=body,
        at=at,
    )
    journal.append(entry)
    if len(journal) > MAX_ENTRIES:
        del journal[0]
    return entry


def _without_credential(name: str, value: str) -> str:
    """Mask a credential; long ones keep their last four characters, to tell two of them apart."""
    if name not in _CREDENTIAL_HEADERS:
        return value
    scheme, space, credential = value.partition(" ")
    if name != "authorization" or not space:
        scheme, space, credential = "", "", value
    # Four characters would be most of a short credential.
    return f"{scheme}{space}…{credential[-4:] if len(credential) >= 8 else ''}"
