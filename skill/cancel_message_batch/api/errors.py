"""What can go wrong, and what a caller needs in order to act on it.

    MessageBatchError
    ├── InvalidInputError       an argument is not what it must be; nothing was sent
    ├── ConfigurationError      no credential, or a base URL that is none; nothing was sent
    ├── APIConnectionError      the API could not be reached, or its answer was lost
    │   └── APITimeoutError     it did not answer in time
    ├── APIStatusError          the API answered with an error
    └── APIResponseError        something answered, but not as the API does

``str()`` of each says what happened. What state the batch is in now, and what to do next, is said by
``cancel_message_batch.summary``.
"""

import copyreg
import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

# What an error of each type comes with (API reference: Errors), for those that come in a stream, after its 200.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

SHOWN = 200  # characters of somebody else's text that one of ours repeats


class MessageBatchError(Exception):
    """Anything this package raises on purpose.

    ``may_have_arrived`` is True when a request was sent and it is not known whether the API acted on it.
    """

    may_have_arrived = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it pass between processes, whatever its subclass is made from."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InvalidInputError(MessageBatchError, ValueError):
    """An argument is not what it must be. Nothing was sent.

    ``about_id`` is True when it was to be a message batch id.
    """

    def __init__(self, message: str, *, about_id: bool = False) -> None:
        super().__init__(message)
        self.about_id = about_id


class ConfigurationError(MessageBatchError):
    """There is no usable credential or base URL. Nothing was sent."""


class APIConnectionError(MessageBatchError):
    """The API could not be reached, or the connection broke before it had answered."""

    def __init__(self, message: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class APITimeoutError(APIConnectionError):
    """The API did not answer in time."""


class APIStatusError(MessageBatchError):
    """The API answered with an error (API reference: Errors).

    Args:
        status: HTTP status code.
        type: The API's error type, such as ``not_found_error``; empty when the answer named none.
        message: The API's own words, or the HTTP reason.
        request_id: The id to give to support, when the answer carried one.
        retry_after: Seconds that the API asked to wait, when it did.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the API's name for it
        message: str,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"the API answered {status}{f' {type}' if type else ''}: {message}")
        self.status = status
        self.type = type
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        # A refusal (4xx, 529) took no effect; a fault on the far side (500, 502, 503, 504) may have come after it.
        self.may_have_arrived = 500 <= status < 529


class APIResponseError(MessageBatchError):
    """Something answered that does not speak the Message Batches API: a page, a redirect, another object."""

    def __init__(self, message: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


def clean(text: str, *, secrets: Iterable[str] = (), limit: int = SHOWN) -> str:
    """Make somebody else's text fit to be shown: one line, no control characters, no secret, not too long."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, masked(secret))
    text = re.sub(r"\bsk-ant-[\w-]{8,}", lambda key: masked(key.group()), text)
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def masked(secret: str) -> str:
    """Show of a secret only that it is there, and its last four characters when that gives nothing away."""
    return "…" + secret[-4:] if len(secret) >= 12 else "…"


def status_error(
    status: int,
    body: bytes | str | object,
    *,
    reason: str = "",
    request_id: str | None = None,
    retry_after: float | None = None,
    secrets: Iterable[str] = (),
) -> APIStatusError:
    """Build the exception for an error answer.

    Takes the API's envelope ``{"type": "error", "error": {"type", "message"}, "request_id"}``, the flat
    ``{"type", "message"}``, and anything else, of which only the status is told.
    """
    parsed: Any = body
    if isinstance(body, bytes | str):
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
    envelope = parsed if isinstance(parsed, dict) else {}
    error = envelope["error"] if isinstance(envelope.get("error"), dict) else envelope
    kind, message = error.get("type"), error.get("message")
    request_id = request_id or envelope.get("request_id")
    return APIStatusError(
        status,
        clean(kind, limit=60) if isinstance(kind, str) else "",
        clean(message, secrets=secrets) if isinstance(message, str) and message else reason or "no explanation",
        request_id=clean(request_id, limit=80) if isinstance(request_id, str) else None,
        retry_after=retry_after,
    )


_LONGEST_WAIT = 86_400.0  # seconds; whoever asks for more means no


def retry_after_seconds(headers: Any) -> float | None:
    """Read how long the API asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name)) * unit
        except (TypeError, ValueError):
            continue
        return min(seconds, _LONGEST_WAIT) if seconds > 0 else None
    if (date := header_date(headers.get("retry-after"))) is None:
        return None
    return min(max((date - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT) or None


def header_date(text: str | None) -> datetime | None:
    """Read the date of an HTTP header, which is in GMT whether it says so or not; None when it is none."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only what was answered needs it

    try:
        date = parsedate_to_datetime(text or "")
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def from_sdk(error: BaseException, *, secrets: Iterable[str] = ()) -> MessageBatchError | None:
    """Translate an exception of the official SDK, current or 0.x; None when it is not one of the SDK's."""
    sdk = sys.modules.get("anthropic")
    if sdk is None or not isinstance(error, sdk.AnthropicError):
        return None
    if isinstance(error, sdk.APIStatusError) and 300 <= error.status_code < 400:
        place = clean(re.sub(r"(?<=//)[^/@]*@|[?#].*", "", error.response.headers.get("location", "")), secrets=secrets)
        return APIResponseError(
            f"the base URL redirects to {place or 'somewhere else'}, and nothing was sent there; "
            "if that is the API, make it the base URL"
        )
    if isinstance(error, sdk.APIStatusError):
        kind = status_error(error.status_code, error.body).type
        return status_error(
            error.status_code if error.status_code >= 300 else _STATUS.get(kind, 500),
            error.body,
            request_id=getattr(error, "request_id", None),
            retry_after=retry_after_seconds(error.response.headers),
            secrets=secrets,
        )
    if isinstance(error, sdk.APITimeoutError):
        return APITimeoutError("the API did not answer in time", may_have_arrived=True)
    if isinstance(error, sdk.APIConnectionError):
        # The SDK wraps what its HTTP client raised; only a connection that never stood is known to be harmless.
        unsent = type(error.__cause__).__name__ in {"ConnectError", "ConnectTimeout"}
        cause = clean(str(error.__cause__ or error), secrets=secrets)
        if cause.startswith("Illegal header"):  # it repeats the value, which may be a credential nobody has told us
            return ConfigurationError("the credential, or another header, holds a character that no header may have")
        return APIConnectionError(f"the API could not be reached ({cause})", may_have_arrived=not unsent)
    if isinstance(error, sdk.APIResponseValidationError):
        return APIResponseError("the answer is not a message batch", may_have_arrived=True)
    return ConfigurationError(clean(str(error), secrets=secrets, limit=2 * SHOWN))
