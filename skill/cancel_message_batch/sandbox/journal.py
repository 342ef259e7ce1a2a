"""The journal: every request to the sandbox's API, and how it was answered."""

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

MAX_ENTRIES = 100_000
MAX_BYTES = 256 * 2**20

_CREDENTIAL_HEADERS = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})


@dataclass
class JournalEntry:
    """One request to the API, and the status of its response: None if none was sent.

    Header names are in lower case, credentials masked up to their last four characters. There is a body if it is
    JSON and the API itself did not refuse the request (400 to 499). ``at`` is by the account's clock; ``size`` counts
    the bytes of the request that were read, headers included.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float
    status: int | None = None
    size: int = 0


class Journal(list[JournalEntry]):
    """The requests to the API, oldest first. Beyond 100,000 entries or 256 MB, the oldest are forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def record(self, scope: Scope, body: bytes | None, parsed: Any, at: float) -> JournalEntry:
        """Add a request; its body is None if it was too large to be read."""
        fields = [scope["path"].encode(), scope["query_string"], *(part for pair in scope["headers"] for part in pair)]
        entry = JournalEntry(
            method=scope["method"],
            path=scope["path"],
            query=dict(QueryParams(scope["query_string"])),
            headers={name: _without_credential(name, value) for name, value in Headers(scope=scope).items()},
            body=parsed,
            at=at,
            size=len(body or b"") + sum(map(len, fields)),
        )
        self.append(entry)
        self._bytes += entry.size
        while len(self) > MAX_ENTRIES or (self._bytes > MAX_BYTES and len(self) > 1):
            self._bytes -= self.pop(0).size
        return entry

    def clear(self) -> None:
        """Forget all entries."""
        super().clear()
        self._bytes = 0


def _without_credential(name: str, value: str) -> str:
    """Mask a credential. Two long ones can still be distinguished, by their last four characters."""
    if name not in _CREDENTIAL_HEADERS:
        return value
    scheme, space, credential = value.partition(" ")
    if name != "authorization" or not space:
        scheme, space, credential = "", "", value
    # Four characters would be most of a short credential.
    return f"{scheme}{space}…{credential[-4:] if len(credential) >= 8 else ''}"
