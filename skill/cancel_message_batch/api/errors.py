"""What can go wrong, and what a caller needs in order to act on it.

    MessageBatchError        AnthropicError              the base of all
    ├── InvalidInputError    AnthropicError              an argument has a wrong value; nothing was sent
    ├── ConfigurationError   AnthropicError              no credential, or an invalid base URL
    ├── APIConnectionError   APIConnectionError          the API could not be reached, or its answer was lost
    │   └── APITimeoutError  APITimeoutError             the API did not answer in time
    ├── APIStatusError       NotFoundError, …            the API answered with an error
    └── APIResponseError     APIResponseValidationError  something answered, but not as the API does

Where a program has imported ``anthropic``, each error is an instance of the official SDK's class in the second column
as well, so that ``except anthropic.NotFoundError`` catches what our client raises. Attributes have the SDK's names.
This package does not import the SDK for that.

``str()`` of each says what happened. ``cancel_message_batch.words`` says what state the batch is in now and what
to do next. Every error of the HTTP client and of the official SDK is translated here, so each is phrased once.
"""

import contextlib
import functools
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urljoin

if TYPE_CHECKING:
    from httpx2 import Request, Response

# The status of each error type (API reference: Errors), for errors inside a stream that began with a 200.
_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529,
}  # fmt: skip

# The API's own words, and the URL of results: none of this is a secret, even if a custom header has it as its value.
_OWN_WORDS = frozenset(_STATUS) | {
    "message_batch", "error", "in_progress", "canceling", "ended", "enforced_spend_limit_reached",
    "id", "type", "processing_status", "request_counts", "processing", "succeeded", "errored", "canceled", "expired",
    "created_at", "expires_at", "ended_at", "cancel_initiated_at", "archived_at", "results_url",
    "data", "has_more", "first_id", "last_id", "message", "details", "error_code", "request_id", "true", "false",
}  # fmt: skip
_OWN_URL = "https://api.anthropic.com/v1/messages/batches/msgbatch_/results"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_ID_OR_URL = re.compile(r"msgbatch_[\w-]+|https?://\S+", re.ASCII)

# Names of what looks like a double quote, and like what we put commands in.
_MARK = re.compile("QUOTATION MARK|DOUBLE PRIME|DOUBLE APOSTROPHE|GERSHAYIM|DITTO MARK|(GRAVE|DOUBLE ACUTE) ACCENT$")
THE_API = "the API"  # who has failed, unless it is another server with a model
SHORTEST_SECRET = 4  # characters; what is shorter stands in any text
SHOWN = 200  # characters of a foreign text that one of our sentences repeats


class MessageBatchError(Exception):
    """The base of every exception that this package raises on purpose.

    Attributes:
        message: What happened, as ``str()`` says it.
        brief: The same without the API's own words, for a sentence that goes on behind it.
        may_have_arrived: Whether a request was sent and it is not known whether the API acted on it.
        request: The ``httpx2.Request``, without the headers, which hold the credential; None if not at hand.
        response: The ``httpx2.Response``, with every credential masked; None where none came.
        body: The JSON of the response; None where it held none.
    """

    _sdk_class: ClassVar[str] = "AnthropicError"

    def __init__(self, message: str, *, may_have_arrived: bool = False, response: "Response | None" = None) -> None:
        Exception.__init__(self, message)  # super() may be a class of the SDK, which takes other arguments
        self.message = self.brief = message
        self.may_have_arrived = may_have_arrived
        self.request: Request | None = response.request if response else None
        self.response = response
        self.body: Any = json_or_none(response.content) if response else None
        self._join(response.status_code if response else 0)

    def _join(self, status_code: int) -> None:
        """Become an instance of the SDK's class as well, where the SDK is imported."""
        sdk, own = sys.modules.get("anthropic"), cast("Any", type(self))
        known = list(vars(sdk).values()) if sdk else []
        kinds = [one for one in known if isinstance(one, type) and vars(one).get("status_code") == status_code]
        general = "InternalServerError" if status_code >= 500 else self._sdk_class
        if kind := next(iter(kinds), getattr(sdk, general, None)):
            with contextlib.suppress(TypeError):  # a caller's subclass of ours may not go together with the SDK's
                self.__class__ = _joined(own, kind)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make every subclass picklable, whether or not the SDK is imported on the other side."""
        return _restored, (getattr(type(self), "_own_class", type(self)), self.args, self.__dict__)


def _restored(own: type[Any], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = own.__new__(own, *args)
    error.__dict__.update(state)
    error._join(state.get("status_code") or 0)  # noqa: SLF001 - our own
    return error


@functools.cache
def _joined(own: Any, sdk_class: Any) -> Any:
    described = {"__module__": own.__module__, "__qualname__": own.__qualname__, "__doc__": own.__doc__}
    return type(own.__name__, (own, sdk_class), {**described, "_own_class": own})


class InvalidInputError(MessageBatchError, ValueError):
    """An argument has a wrong value. Nothing was sent.

    ``about_id`` is True when the argument should have been a message batch id.
    """

    def __init__(self, message: str, *, about_id: bool = False) -> None:
        super().__init__(message)
        self.about_id = about_id


class ConfigurationError(MessageBatchError):
    """There is no usable credential or base URL.

    Nothing was sent, unless ``may_have_arrived``: then the credential could not be renewed to send a request again.
    """


class APIConnectionError(MessageBatchError):
    """The API could not be reached, or the connection broke before the API had answered."""

    _sdk_class = "APIConnectionError"


class APITimeoutError(APIConnectionError):
    """The API did not answer in time."""

    _sdk_class = "APITimeoutError"


class APIStatusError(MessageBatchError):
    """The API answered with an error (API reference: Errors).

    Reads the API's envelope ``{"type": "error", "error": {"type", "message"}, "request_id"}`` and the flat
    ``{"type", "message"}``, and of another server the text in ``{"error": "…"}``. Of any other body only the status is
    used.

    Attributes:
        type, error_code: The API's error type, such as ``not_found_error``, and its code for the cause, if any.
        api_message: The API's own message, or the HTTP reason phrase. Text from elsewhere: it is never advice.
        request_id, workspace_id: As the response named them, if it did; support asks for the former.
        retry_after, should_retry: The API's own advice, if any: seconds to wait, and whether to try again.
        from_api: Whether the answer was the API's own envelope, so that the API itself has answered.
        credential: Which credential was sent and where it came from, to be checked after a 401; empty if not at hand.
        spend_limit_reached: Whether the organization has reached its tier's limit, which holds until the month ends.
    """

    _sdk_class = "APIStatusError"
    request: "Request"  # there is always one
    response: "Response"

    def __init__(self, *, response: "Response", place: str = THE_API) -> None:
        headers, envelope = response.headers, json_or_none(response.content)
        envelope = envelope if isinstance(envelope, dict) else {}
        error = envelope["error"] if isinstance(envelope.get("error"), dict) else envelope
        details = error.get("details")
        self.status_code = response.status_code
        self.type = word(error.get("type"))
        self.error_code = word(details.get("error_code")) if isinstance(details, dict) else None
        own_words = _text(error.get("message")) or _text(envelope.get("error"))
        self.api_message = own_words or _text(response.reason_phrase) or "no explanation"
        self.request_id = word(headers.get("request-id") or envelope.get("request_id"))
        self.workspace_id = word(headers.get("anthropic-workspace-id"))
        self.retry_after = retry_after_seconds(headers)
        self.should_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
        self.from_api = envelope.get("type") == "error" and error is not envelope
        self.credential = ""
        self.spend_limit_reached = self.error_code == "enforced_spend_limit_reached"
        # A refused request (4xx, 529) had no effect; after another server error it may have had one.
        uncertain = self.status_code >= 500 and self.status_code != 529
        what = f"{place} answered {self.status_code}{f' {self.type}' if self.type else ''}"
        super().__init__(f"{what}: {quoted(self.api_message)}", may_have_arrived=uncertain, response=response)
        self.brief = what


class APIResponseError(MessageBatchError):
    """The answer is not the one that was asked for: a web page, a redirect, another object.

    Attributes:
        status_code: HTTP status code, where the answer is at hand.
        from_api: Whether the API itself seems to have answered, though not as documented.
    """

    _sdk_class = "APIResponseValidationError"

    def __init__(
        self,
        message: str,
        *,
        may_have_arrived: bool = False,
        from_api: bool = False,
        response: "Response | None" = None,
    ) -> None:
        super().__init__(message, may_have_arrived=may_have_arrived, response=response)
        self.status_code = response.status_code if response else None
        self.from_api = from_api


def clean(text: str, *, secrets: Iterable[str] = (), limit: int = SHOWN) -> str:
    """Make text from elsewhere safe to show: one line without control characters and secrets, cut at ``limit``."""
    text = _masked(text, secrets)
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(text: str) -> str:
    """Put clean text from elsewhere in quotation marks, which it cannot end by itself."""
    inside = "".join("'" if _is_mark(one) else one for one in text)
    return f'"{inside}"'


def _is_mark(one: str) -> bool:
    kind = unicodedata.category(one)
    is_letter = kind[0] in "LM" and kind != "Lm"  # which may have such an accent
    return kind in {"Pi", "Pf"} or (not is_letter and bool(_MARK.search(unicodedata.name(one, ""))))


def word(value: object, limit: int = 80) -> str | None:
    """Return a name that the API gives to something, if it is one word of ASCII: other scripts need no spaces."""
    found = _text(value, limit)
    return found if found and re.fullmatch(r"[A-Za-z0-9_.…-]+", found) else None


def plain_url(value: str | None, limit: int = 2000) -> str | None:
    """Return a URL, absolute or not, if it is one that can be shown as it is."""
    plain = re.fullmatch(r"(https?://[A-Za-z0-9.:\[\]-]+)?(/[A-Za-z0-9._~:/?&=%+-]*)?", value or "")
    return value if value and plain and len(value) <= limit else None


def media_type(content_type: str) -> str | None:
    """Return the type and subtype of a ``content-type``, if that is what it holds."""
    found = content_type.partition(";")[0].strip()
    return found if re.fullmatch(r"[A-Za-z0-9.+-]{1,40}/[A-Za-z0-9.+-]{1,40}", found) else None


def masked(secret: str) -> str:
    """Mask a secret; long ones keep their last four characters."""
    return "…" + secret[-4:] if len(secret) >= 12 else "…"


def _masked(text: str, secrets: Iterable[str]) -> str:
    """Mask the secrets in a text."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, masked(secret))
    return re.sub(r"sk-ant-[\w-]{8,}", lambda key: masked(key.group()), text)


def masked_json(value: Any, secrets: Iterable[str]) -> Any:
    """Mask the secrets in all texts of a JSON value, except in what cannot hold one: words of the API, times, numbers.

    A custom header may hold such a word or a date too. An id may contain a short secret by chance.
    """
    if isinstance(value, dict):
        return {masked_json(name, secrets): masked_json(one, secrets) for name, one in value.items()}
    if isinstance(value, list):
        return [masked_json(one, secrets) for one in value]
    if not isinstance(value, str):
        return value
    if value in _OWN_WORDS or _TIME.fullmatch(value):
        return value
    if _ID_OR_URL.fullmatch(value):
        shortest = 8 if value.startswith("msgbatch_") else 0
        secrets = [
            one for one in secrets if len(one) >= shortest and not (one in _OWN_URL or one.startswith("msgbatch_"))
        ]
    return _masked(value, secrets)


def json_or_none(text: bytes | str) -> Any:
    """Return the value of a JSON text; None where it is not one."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _text(value: object, limit: int = SHOWN) -> str | None:
    return clean(value, limit=limit) or None if isinstance(value, str) else None


def safe_response(request: Any, response: Any, body: object, secrets: Iterable[str]) -> "Response":
    """Return a response with its request, neither of which holds a credential; ``body`` may be JSON, parsed."""
    from httpx2 import Request, Response

    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    value = json_or_none(body) if isinstance(body, str) else body
    text = _masked(str(body or ""), secrets) if value is None else json.dumps(masked_json(value, secrets))
    of_the_body = {"content-encoding", "content-length", "transfer-encoding"}
    headers = [
        (name.encode(), masked_json(value, secrets).encode("utf-8", "replace"))
        for name, value in response.headers.items()
        if name not in of_the_body
    ]
    return Response(
        response.status_code,
        headers=headers,
        content=text.encode("utf-8", "replace"),
        request=Request(request.method, _masked(str(request.url), secrets)),
        extensions={"reason_phrase": _masked(response.reason_phrase, secrets).encode("ascii", "replace")},
    )


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


def redirected(place: str, response: "Response", *, setting: str = "base URL") -> APIResponseError:
    """Report a redirect, which is never followed: the credential would go where it leads.

    ``setting`` is what led there: the key of the batches must not follow the redirect of a server with a model.
    """
    location = response.headers.get("location", "")
    with contextlib.suppress(ValueError):
        location = urljoin(str(response.request.url), location)
    target = re.sub(r"(?<=//)[^/]*@|[?#].*", "", location, flags=re.DOTALL)
    target = (plain_url(target, SHOWN) or "a URL that cannot be shown") if target else "nowhere"
    what = f"{place} redirects to {target}, and nothing was sent there; if that is the API, use it as the {setting}"
    return APIResponseError(what, response=response)


def timed_out(place: str = THE_API) -> APITimeoutError:
    """Report that the time for a whole call was up."""
    return APITimeoutError(f"{place} did not answer in time", may_have_arrived=True)


def from_client(error: BaseException, place: str = THE_API, *, secrets: Iterable[str] = ()) -> MessageBatchError | None:
    """Translate an exception of httpx2, or of the httpx that older SDKs use; None when it is not one of theirs.

    The classes are recognised by name, so that neither package has to be imported for it.
    """
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] in {"httpx2", "httpx"}}
    why = clean(str(error), secrets=secrets, limit=80) or type(error).__name__
    if why.startswith("Illegal header"):  # the text repeats the value, which may be a credential that we do not know of
        return ConfigurationError("the credential or another header holds a character that headers cannot have")
    if "ConnectTimeout" in names:
        return APITimeoutError(f"{place} cannot be reached (no connection in time)")
    if "TimeoutException" in names or isinstance(error, TimeoutError):
        return timed_out(place)
    if "RemoteProtocolError" in names:  # behind a colon, h11 repeats what the server sent
        why = why.partition(":")[0]
    if names & {"ConnectError", "ProxyError"}:
        return APIConnectionError(f"{place} cannot be reached ({why})")
    if "DecodingError" in names:
        return APIResponseError(f"the response of {place} cannot be read", may_have_arrived=True)
    if "RequestError" in names:
        return APIConnectionError(f"the connection to {place} broke ({why})", may_have_arrived=True)
    return None


def from_sdk(error: BaseException, *, place: str = THE_API, secrets: Iterable[str] = ()) -> MessageBatchError | None:
    """Translate an exception of the official SDK, current or 0.x; None when it is not one of the SDK's."""
    if isinstance(error, MessageBatchError):
        return error
    sdk = sys.modules.get("anthropic")
    if sdk is None or not isinstance(error, sdk.AnthropicError):
        return None
    if isinstance(error, sdk.APIStatusError):
        response = safe_response(error.request, error.response, error.body, secrets)
        if 300 <= error.status_code < 400:
            if place == THE_API:
                return redirected("the base URL", response)
            return redirected(place, response, setting="model URL (--model-url)")
        if error.status_code < 300:  # an error inside a stream
            response.status_code = _STATUS.get(APIStatusError(response=response).type or "", 500)
        return APIStatusError(response=response, place=place)
    if isinstance(error, sdk.APIConnectionError):
        # The SDK wraps what its HTTP client raised.
        known = from_client(error.__cause__, place, secrets=secrets) if error.__cause__ else None
        if isinstance(error, sdk.APITimeoutError) and not isinstance(known, APITimeoutError):
            return timed_out(place)
        what = clean(str(error.__cause__ or error), secrets=secrets)
        return known or APIConnectionError(f"{place} could not be reached ({what})", may_have_arrived=True)
    if isinstance(error, sdk.APIResponseValidationError):
        return APIResponseError("the answer is not a message batch", may_have_arrived=True)
    return ConfigurationError(clean(str(error), secrets=secrets, limit=2 * SHOWN))
