"""The Message Batches API at one connection: the URLs and headers of requests, and what its answers mean."""

import contextlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from httpx2 import URL

from . import __version__
from .credentials import Connection, origin
from .errors import (
    SHORTEST_SECRET,
    APIResponseError,
    APIStatusError,
    InvalidInputError,
    MessageBatchError,
    clean,
    header_date,
    masked_json,
    media_type,
    redirected,
    safe_response,
    word,
)
from .models import Context, checked_id
from .transport import Answer

Result = TypeVar("Result")


class Endpoint:
    """Builds the requests for one connection, and reads the answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.headers = {
            "accept": "application/json",
            "user-agent": f"cancel-message-batch/{__version__} python/{platform.python_version()}",
            **connection.headers,
        }
        root = URL(connection.base_url)
        host = f"[{root.host}]" if ":" in root.host else root.host
        self.place = f"the API at {host}:{root.port}" if root.port else f"the API at {host}"
        self._origin = origin(connection.base_url)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        """Return the URL of a path below ``/messages/batches``."""
        return URL(f"{self._connection.base_url}/messages/batches{path}", params=query)

    def page_query(self, limit: int, after_id: str | None, before_id: str | None) -> dict[str, str]:
        """Return the query of one page."""
        if not isinstance(limit, int) or not 1 <= limit <= 1000:
            raise InvalidInputError(f"limit is {limit!r}; it must be from 1 to 1000")
        if after_id and before_id:
            raise InvalidInputError("give after_id or before_id, not both")
        cursors = {"after_id": after_id, "before_id": before_id}
        return {"limit": str(limit), **{name: checked_id(cursor) for name, cursor in cursors.items() if cursor}}

    def read(self, parse: Callable[[bytes, Context], Result], answer: Answer) -> Result:
        """Read the object out of an answer."""
        parsed: Result | None = None
        if answer.response.is_success:
            with contextlib.suppress(ValueError, RecursionError):
                parsed = parse(_without_secrets(answer.body, self._connection.secrets), self._context(answer))
        # Raised outside of the handler: the parser's own error repeats the body, which may hold anything.
        if parsed is None:
            raise self.refusal(answer)
        return parsed

    def _context(self, answer: Answer) -> Context:
        """Return where an answer came from and when, by the API's own clock, which counts whole seconds."""
        named = answer.response.headers.get("anthropic-workspace-id", "")
        workspace = word(clean(named, secrets=self._connection.secrets, limit=80))
        context = Context(origin=self._origin, workspace=workspace)
        time = header_date(answer.response.headers.get("date"))
        return replace(context, as_of=time, clock_skew=timedelta(seconds=5)) if time else context

    def refusal(self, answer: Answer) -> MessageBatchError:
        """Return the error for an answer that is not what was asked for."""
        response = safe_response(answer.request, answer.response, answer.body, self._connection.secrets)
        if response.is_success:
            kind = media_type(response.headers.get("content-type", "")) or "something"
            what = f"{self.place} answered {response.status_code} with {kind} that is not the API's answer"
            return APIResponseError(what, may_have_arrived=True, response=response)
        if response.is_redirect and "location" in response.headers:
            return redirected(self.place, response)
        error = APIStatusError(response=response)
        error.credential = self._connection.to_check
        return error


def _without_secrets(body: bytes, secrets: Iterable[str]) -> bytes:
    """Mask what an answer repeats of the credential, before it is read."""
    sought = [b"sk-ant-", b"\\", *(one.encode() for one in secrets if len(one) >= SHORTEST_SECRET)]
    if not any(one in body for one in sought):  # a backslash may begin a character of a secret
        return body
    return json.dumps(masked_json(json.loads(body), secrets)).encode()
