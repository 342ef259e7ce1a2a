"""What the Message Batches API sends. The models accept fields and status values that this version does not know."""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_core import core_schema

from .errors import InvalidInputError, clean, quoted

ID_PREFIX = "msgbatch_"
ID_PATTERN = ID_PREFIX + "[A-Za-z0-9_-]+"
EXAMPLE_ID = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
ID_LIMIT = 200  # characters; far above any id seen, far below what a URL may hold


def _zoned(value: datetime) -> datetime:
    """Read a time without a zone as UTC, as the API means it, and keep the year within what every zone can show."""
    value = value.replace(year=min(max(value.year, 2), 9998))
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class _Zoned:
    """The schema of a time. pydantic finds none in frozen time, where freezegun has replaced the class datetime."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(_zoned, core_schema.datetime_schema())


Time = Annotated[datetime, _Zoned]

# Far above what a batch can hold, far below what Python refuses to print.
Count = Annotated[int, Field(ge=0, le=10**12)]


def ascii_json(value: Any, **options: Any) -> str:
    """Write JSON in characters that any terminal shows; ``options`` are those of ``json.dumps``."""
    return json.dumps(value, **options).replace("\x7f", "\\u007f")


class RequestCounts(BaseModel):
    """How many requests of a batch are in each state.

    The sum is the number of requests. All requests count as ``processing`` until the whole batch has ended. Until
    then the other four may be zero, which says nothing (API reference: Message Batch).
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    processing: Count = 0
    succeeded: Count = 0
    errored: Count = 0
    canceled: Count = 0
    expired: Count = 0

    @property
    def total(self) -> int:
        """The number of requests in the batch."""
        return self.processing + self.finished

    @property
    def finished(self) -> int:
        """The number of requests that have a result."""
        return self.succeeded + self.errored + self.canceled + self.expired


@dataclass(frozen=True)
class CreatedBy:
    """The program that created a batch through this machine; without a ``program``, the batch came from elsewhere.

    ``host`` is empty if the program ran on this host. ``alive`` says that it is certainly still running.
    """

    program: str = ""
    pid: int = 0
    host: str = ""
    alive: bool = False


@dataclass(frozen=True)
class Context:
    """What is known about a batch that is not a field of the API's object; None where it is not known.

    ``as_of`` is when the API sent the batch, by its own clock where the response named the time; ``clock_skew`` is how
    far that and the batch's own times may be apart. ``workspace`` is what the response's header named. ``name`` and
    ``created_by`` are from this machine's record: the latter is None if there is no record, or none that can be read.
    """

    as_of: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock_skew: timedelta = timedelta(minutes=1)
    origin: str | None = None
    workspace: str | None = None
    name: str | None = None
    created_by: CreatedBy | None = None


class MessageBatch(BaseModel):
    """One Message Batch, as the API describes it (API reference: Message Batch).

    ``processing_status`` is ``in_progress``, ``canceling`` or ``ended``, or a value newer than this version.
    ``ended_at``, ``cancel_initiated_at``, ``archived_at`` and ``results_url`` are None until they happen.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    processing_status: str
    request_counts: RequestCounts
    created_at: Time
    expires_at: Time
    ended_at: Time | None = None
    cancel_initiated_at: Time | None = None
    archived_at: Time | None = None
    results_url: str | None = None
    type: str = "message_batch"

    _context: Context = PrivateAttr(default_factory=Context)

    def model_post_init(self, context: Any, /) -> None:
        """Take the context that the batch was validated with."""
        if isinstance(context, Context):
            self._context = context

    def __eq__(self, other: object) -> bool:
        """Compare what the API says about the batch, whenever it said so."""
        if not isinstance(other, MessageBatch):
            return NotImplemented
        return (self.__dict__, self.model_extra) == (other.__dict__, other.model_extra)

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def context(self) -> Context:
        """What the response's headers and this machine say about the batch, apart from the API's own fields."""
        return self._context

    def to_json(self) -> str:
        """Return the API's own object in ASCII: the fields that it sent, and no others."""
        text = self.model_dump_json(exclude_unset=True)
        return text if text.isascii() and "\x7f" not in text else ascii_json(json.loads(text), separators=(",", ":"))

    @property
    def ended(self) -> bool:
        """Whether processing of the whole batch has ended."""
        return self.processing_status == "ended"


def read_batch(body: bytes, context: Context) -> MessageBatch:
    """Read a batch out of an answer."""
    return MessageBatch.model_validate_json(body, context=context)


def with_context(batch: MessageBatch, **changes: Any) -> MessageBatch:
    """Return a copy of a batch with another context: a field of ``Context`` by name."""
    other = batch.model_copy()
    other._context = replace(batch.context, **changes)  # noqa: SLF001 - of this module
    return other


def without_surrogates(value: Any) -> Any:
    """Replace each half of a surrogate pair, which JSON can hold and no text can."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def message_batch_id_fault(value: str) -> str | None:
    """Say why a text is not a message batch id, or return None when it may be one.

    Only the prefix and the characters are checked: "the format and length of IDs may change over time" (API
    reference: Message Batch).
    """
    if not value:
        return "the id is empty"
    if len(value) > ID_LIMIT:
        return f"it has {len(value):,} characters"
    if value.count(ID_PREFIX) > 1 and re.search(rf"[^A-Za-z0-9_-]+{ID_PREFIX}", value):
        return "it contains more than one id; make one call for each"
    if value.startswith("batch_"):
        return "it is an id of another provider's batch"
    if not value.startswith(ID_PREFIX):
        return f"it does not start with {ID_PREFIX}"
    if not re.fullmatch(ID_PATTERN, value):
        return f"after {ID_PREFIX} it may contain only letters, digits, - and _"
    return None


def shown_id(value: str) -> str:
    """Write an id as the API sent it; what may not be one stands in quotation marks."""
    fault = message_batch_id_fault(value)
    return quoted(clean(value, limit=80)) if fault else clean(value, limit=ID_LIMIT)


def pasted_id(value: Any) -> Any:
    """Remove what people and frameworks put around an id: white space, or JSON."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith(("{", '"')) and len(text) <= 2 * ID_LIMIT:
        try:
            parsed = json.loads(text)
        except ValueError:
            return text
        if isinstance(parsed, dict) and list(parsed) == ["message_batch_id"]:
            parsed = parsed["message_batch_id"]
        if isinstance(parsed, str):
            return parsed.strip()
    return text


def checked_id(message_batch_id: object) -> str:
    """Return a message batch id without the white space or JSON around it; anything else is an InvalidInputError."""
    value = pasted_id(message_batch_id)
    fault = message_batch_id_fault(value) if isinstance(value, str) else "it is not text"
    if fault:
        shown = clean(repr(message_batch_id), limit=60)
        raise InvalidInputError(f"{shown} is not a message batch id: {fault}", about_id=True)
    return str(value)
