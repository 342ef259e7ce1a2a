"""What is sent, when it is sent again, and what an answer means. Nothing here touches the network."""

import contextlib
import platform
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from httpx2 import URL, InvalidURL

from cancel_message_batch import __version__

from .credentials import Connection, origin
from .errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    InvalidInputError,
    MessageBatchError,
    clean,
    header_date,
    masked,
    redirected,
    status_error,
    workspace_of,
)
from .models import Context, MessageBatch, MessageBatchList, message_batch_id_fault, pasted_id

Model = TypeVar("Model", MessageBatch, MessageBatchList)

# The official SDK's numbers, so that both behave alike on a bad day.
MAX_RETRIES = 2
FIRST_RETRY_PAUSE = 0.5  # seconds
LONGEST_RETRY_PAUSE = 8.0

CALL_TIMEOUT = 120.0  # seconds for one call with its retries


def may_pass(error: MessageBatchError) -> bool:
    """Return whether the same request may succeed a little later.

    As the official SDK decides it: the API's own advice first, then timeouts, conflicts, limits and server errors.
    """
    if isinstance(error, APIStatusError):
        if error.should_retry is not None:
            return error.should_retry
        return error.status in {408, 409, 429} or error.status >= 500
    return isinstance(error, APIConnectionError)


def refused_by_limit(error: MessageBatchError) -> bool:
    """Return whether the API refused a request because of a rate limit, and no earlier attempt may have arrived."""
    return isinstance(error, APIStatusError) and error.status == 429 and not error.may_have_arrived


@dataclass(frozen=True)
class RetryPolicy:
    """How long one call may take, and when its request is sent again."""

    timeout: float = CALL_TIMEOUT
    max_retries: int = MAX_RETRIES
    wait_out_limits: bool = False  # a 429 that says how long to wait is obeyed, and does not count as a retry
    on_pause: Callable[[MessageBatchError, float], None] = lambda _error, _seconds: None

    def obeys_limit(self, error: MessageBatchError) -> bool:
        """Return whether this error is a rate limit that is waited out."""
        return (
            self.wait_out_limits
            and self.max_retries > 0
            and isinstance(error, APIStatusError)
            and error.status == 429
            and error.retry_after is not None
            and error.should_retry is not False
        )

    def pause(self, error: MessageBatchError, attempts: int) -> float:
        """Return how many seconds to wait before the request is sent again, after so many attempts."""
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        longest = min(FIRST_RETRY_PAUSE * 2.0 ** min(attempts - 1, 10), LONGEST_RETRY_PAUSE)
        if asked is None:
            return longest * (1 - 0.25 * random.random())  # noqa: S311 - jitter is no secret
        # Many requests that each wait less than a second, again and again, would be a flood.
        return max(asked, longest) if self.obeys_limit(error) and asked < 1 else asked


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that was read to its end."""

    url: str
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class RequestBuilder:
    """Builds the requests for one connection, and reads the answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.headers = {
            "accept": "application/json",
            "user-agent": f"cancel-message-batch/{__version__} python/{platform.python_version()}",
            **connection.headers,
        }
        root = URL(connection.base_url)
        self.place = f"the API at {root.host}:{root.port}" if root.port else f"the API at {root.host}"
        self._origin = origin(connection.base_url)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        """Return the URL of a path below ``/messages/batches``."""
        return URL(f"{self._connection.base_url}/messages/batches{path}", params=query)

    def page_query(self, limit: int, after_id: str | None, before_id: str | None) -> dict[str, str]:
        """Return the query of one page."""
        if not isinstance(limit, int) or not 1 <= limit <= 1000:
            raise InvalidInputError(f"limit is {limit}; it must be from 1 to 1000")
        if after_id and before_id:
            raise InvalidInputError("give after_id or before_id, not both")
        cursors = {"after_id": after_id, "before_id": before_id}
        return {"limit": str(limit), **{name: checked_id(cursor) for name, cursor in cursors.items() if cursor}}

    def read(self, model: type[Model], answer: Answer) -> Model:
        """Read the object out of an answer."""
        parsed: Model | None = None
        if 200 <= answer.status < 300:
            with contextlib.suppress(ValueError, RecursionError):
                parsed = model.read(without_secrets(answer.body, self._connection.secrets), self._context(answer))
        # Raised outside of the handler: the parser's own error repeats the body, which may hold anything.
        if parsed is None:
            raise self.refusal(answer)
        return parsed

    def _context(self, answer: Answer) -> Context:
        """Return where an answer came from and when, by the API's own clock, which counts whole seconds."""
        context = Context(origin=self._origin, workspace=workspace_of(answer.headers, self._connection.secrets))
        time = header_date(answer.headers.get("date"))
        return replace(context, as_of=time, clock_skew=timedelta(seconds=5)) if time else context

    def results_url(self, batch: MessageBatch) -> URL:
        """Return where the results of a batch are."""
        if not batch.results_url:
            raise APIResponseError(f"the API gives no results_url for {clean(batch.id, limit=80)}", from_api=True)
        try:
            url = URL(batch.results_url)
            same = origin(batch.results_url) == self._origin and not url.userinfo
        except (InvalidURL, ValueError):
            same = False
        if not same:
            shown = clean(batch.results_url, secrets=self._connection.secrets)
            raise APIResponseError(
                f"the results_url leads to another server than the base URL ({shown}); nothing was sent there, because "
                "the credential would go with it. If that is the API, make it the base URL",
                from_api=True,
            )
        return url

    def refusal(self, answer: Answer) -> MessageBatchError:
        """Return the error that an answer is which is not what was asked for."""
        if 200 <= answer.status < 300:
            kind = clean(answer.headers.get("content-type", "").partition(";")[0], secrets=self._connection.secrets)
            what = f"{clean(kind, limit=40) or 'something'} that is not the API's answer"
            return APIResponseError(f"{self.place} answered {answer.status} with {what}", may_have_arrived=True)
        location = answer.headers.get("location")
        if location and 300 <= answer.status < 400:
            return redirected(self.place, answer.url, location, secrets=self._connection.secrets)
        secrets = self._connection.secrets
        return status_error(answer.status, answer.body, answer.headers, reason=answer.reason, secrets=secrets)


def without_secrets(body: bytes, secrets: Iterable[str]) -> bytes:
    """Mask what an answer repeats of the credential, before it is read.

    A secret that could be a word of the API's own, such as a status, is left to where texts are shown.
    """
    for secret in secrets:
        if len(secret) >= 8 and not re.fullmatch("[a-z_]+", secret):
            body = body.replace(secret.encode(), masked(secret).encode())
    return re.sub(rb"sk-ant-[\w-]{8,}", b"\xe2\x80\xa6", body)


def checked_id(message_batch_id: str) -> str:
    """Return a message batch id without the white space or JSON around it."""
    value = pasted_id(message_batch_id)
    fault = message_batch_id_fault(value) if isinstance(value, str) else "it is not text"
    if fault:
        shown = clean(repr(message_batch_id), limit=60)
        raise InvalidInputError(f"{shown} is not a message batch id: {fault}", about_id=True)
    return str(value)
