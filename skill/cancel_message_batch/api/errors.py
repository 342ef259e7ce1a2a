"""What can go wrong, and what a caller needs in order to act on it.

    MessageBatchError
    ├── InvalidInputError       an argument has a wrong value; nothing was sent
    ├── ConfigurationError      no credential, or an invalid base URL; nothing was sent
    ├── APIConnectionError      the API could not be reached, or its answer was lost
    │   └── APITimeoutError     the API did not answer in time
    ├── APIStatusError          the API answered with an error
    └── APIResponseError        something answered, but not as the API does

``str()`` of each says what happened. ``cancel_message_batch.words`` says what state the batch is in now and what
to do next. Every error of the HTTP client and of the official SDK is translated here, so each is phrased once.
"""

import contextlib
import copyreg
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

# The status of each error type (API reference: Errors), for errors inside a stream that began with a 200.
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

SHOWN = 200  # characters of a foreign text that one of our sentences repeats


class MessageBatchError(Exception):
    """The base of every exception that this package raises on purpose.

    ``may_have_arrived`` is True when a request was sent and it is not known whether the API acted on it.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived

    def __reduce__(self) -> tuple[Any, ...]:
        """Make every subclass picklable, whatever its constructor takes."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InvalidInputError(MessageBatchError, ValueError):
    """An argument has a wrong value. Nothing was sent.

    ``about_id`` is True when the argument should have been a message batch id.
    """

    def __init__(self, message: str, *, about_id: bool = False) -> None:
        super().__init__(message)
        self.about_id = about_id


class ConfigurationError(MessageBatchError):
    """There is no usable credential or base URL. Nothing was sent."""


class APIConnectionError(MessageBatchError):
    """The API could not be reached, or the connection broke before the API had answered."""


class APITimeoutError(APIConnectionError):
    """The API did not answer in time."""


class APIStatusError(MessageBatchError):
    """The API answered with an error (API reference: Errors).

    Args:
        status: HTTP status code.
        type: The API's error type, such as ``not_found_error``; empty when the answer held none.
        message: The API's own message, or the HTTP reason phrase.
        request_id: The id to give to support, when the answer carried one.
        retry_after: Seconds that the API asked to wait, when it did.
        should_retry: The API's own advice (header ``x-should-retry``), when it gave any.
        from_api: Whether the answer was the API's own envelope, so that the API itself has answered.
        workspace: The workspace that the response's header named.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the API's name for it
        message: str,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        from_api: bool = False,
        workspace: str | None = None,
    ) -> None:
        # A refusal (4xx, 529) took no effect; a fault on the API's side may have come after the effect.
        uncertain = status >= 500 and status != 529
        what = f"the API answered {status}{f' {type}' if type else ''}: {message}"
        super().__init__(what, may_have_arrived=uncertain)
        self.status = status
        self.type = type
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.from_api = from_api
        self.workspace = workspace


class APIResponseError(MessageBatchError):
    """The answer is not the one that was asked for: a web page, a redirect, another object.

    ``from_api`` is True when the API itself seems to have answered, though not as documented.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = False, from_api: bool = False) -> None:
        super().__init__(message, may_have_arrived=may_have_arrived)
        self.from_api = from_api


def clean(text: str, *, secrets: Iterable[str] = (), limit: int = SHOWN) -> str:
    """Make a foreign text safe to show: one line, no control characters, no secret, at most ``limit`` characters."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, masked(secret))
    text = re.sub(r"sk-ant-[\w-]{8,}", lambda key: masked(key.group()), text)
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def masked(secret: str) -> str:
    """Mask a secret; long ones keep their last four characters."""
    return "…" + secret[-4:] if len(secret) >= 12 else "…"


def status_error(
    status: int,
    body: bytes | str | object,
    headers: Mapping[str, str],
    *,
    reason: str = "",
    secrets: Iterable[str] = (),
) -> APIStatusError:
    """Build the exception for an error answer.

    Reads the API's envelope ``{"type": "error", "error": {"type", "message"}, "request_id"}`` and the flat
    ``{"type", "message"}``. Of any other body only the status is used.
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
    request_id = headers.get("request-id") or envelope.get("request_id")
    return APIStatusError(
        status,
        clean(kind, secrets=secrets, limit=60) if isinstance(kind, str) else "",
        clean(message if isinstance(message, str) else "", secrets=secrets)
        or clean(reason, secrets=secrets)
        or "no explanation",
        request_id=clean(request_id, secrets=secrets, limit=80) if isinstance(request_id, str) else None,
        retry_after=retry_after_seconds(headers),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        from_api=envelope.get("type") == "error" and error is not envelope,
        workspace=workspace_of(headers, secrets),
    )


def workspace_of(headers: Mapping[str, str], secrets: Iterable[str] = ()) -> str | None:
    """Read which workspace an answer names, safe to show; None where it names none."""
    return clean(headers.get("anthropic-workspace-id") or "", secrets=secrets, limit=80) or None


_LONGEST_WAIT = 86_400.0  # seconds; a longer wait means no


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read how long the API asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return min(seconds, _LONGEST_WAIT) if seconds > 0 else None
    if (date := header_date(headers.get("retry-after"))) is None:
        return None
    return min(max((date - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT) or None


def header_date(text: str | None) -> datetime | None:
    """Read the date of an HTTP header, which is in GMT whether it says so or not; None when it cannot be read."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text or "")
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def redirected(place: str, url: str, location: str, *, secrets: Iterable[str] = ()) -> APIResponseError:
    """Report a redirect, which is never followed: the credential would go where it leads."""
    with contextlib.suppress(ValueError):
        location = urljoin(url, location)
    target = clean(re.sub(r"(?<=//)[^/]*@|[?#].*", "", location), secrets=secrets)
    return APIResponseError(
        f"{place} redirects to {target or 'nowhere'}, and nothing was sent there; "
        "if that is the API, make it the base URL"
    )


def timed_out(place: str = "the API") -> APITimeoutError:
    """Report that the time for a whole call was up."""
    return APITimeoutError(f"{place} did not answer in time", may_have_arrived=True)


def from_client(
    error: BaseException, place: str = "the API", *, secrets: Iterable[str] = ()
) -> MessageBatchError | None:
    """Translate an exception of httpx2, or of the httpx that older SDKs use; None when it is not one of theirs.

    The classes are recognised by name, so that neither package has to be imported for it.
    """
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] in {"httpx2", "httpx"}}
    why = clean(str(error), secrets=secrets, limit=80) or type(error).__name__
    if why.startswith("Illegal header"):  # the text repeats the value, which may be a credential nobody told us about
        return ConfigurationError("the credential, or another header, holds a character that no header may have")
    if "ConnectTimeout" in names:
        return APITimeoutError(f"{place} cannot be reached (no connection in time)")
    if "TimeoutException" in names:
        return timed_out(place)
    if names & {"ConnectError", "ProxyError"}:
        return APIConnectionError(f"{place} cannot be reached ({why})")
    if "DecodingError" in names:
        return APIResponseError(f"{place} answered with something unreadable", may_have_arrived=True)
    if "RequestError" in names:
        return APIConnectionError(f"the connection to {place} broke ({why})", may_have_arrived=True)
    return None


def from_sdk(error: BaseException, *, secrets: Iterable[str] = ()) -> MessageBatchError | None:
    """Translate an exception of the official SDK, current or 0.x; None when it is not one of the SDK's."""
    sdk = sys.modules.get("anthropic")
    if sdk is None or not isinstance(error, sdk.AnthropicError):
        return None
    if isinstance(error, sdk.APIStatusError):
        if 300 <= error.status_code < 400:
            location = error.response.headers.get("location", "")
            return redirected("the base URL", str(error.request.url), location, secrets=secrets)
        headers = error.response.headers
        kind = status_error(error.status_code, error.body, headers).type
        status = error.status_code if error.status_code >= 300 else _STATUS.get(kind, 500)
        return status_error(status, error.body, headers, secrets=secrets)
    if isinstance(error, sdk.APIConnectionError):
        # The SDK wraps what its HTTP client raised.
        known = from_client(error.__cause__, secrets=secrets) if error.__cause__ else None
        if isinstance(error, sdk.APITimeoutError) and not isinstance(known, APITimeoutError):
            return timed_out()
        what = clean(str(error.__cause__ or error), secrets=secrets)
        return known or APIConnectionError(f"the API could not be reached ({what})", may_have_arrived=True)
    if isinstance(error, sdk.APIResponseValidationError):
        return APIResponseError("the answer is not a message batch", may_have_arrived=True)
    return ConfigurationError(clean(str(error), secrets=secrets, limit=2 * SHOWN))
