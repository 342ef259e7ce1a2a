"""What the Message Batches API sends, and what a tool call may ask for.

The models of the API's objects accept fields and status values that this version does not know. The models
of the tool inputs accept nothing but what they declare, and every JSON schema derives from them.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

ID_PREFIX = "msgbatch_"
ID_PATTERN = ID_PREFIX + "[A-Za-z0-9_-]+"
EXAMPLE_ID = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
ID_LIMIT = 200  # characters; far above any id seen, far below what a URL may hold

MESSAGE_BATCH_ID = f"Whole id of one batch, such as {EXAMPLE_ID}"
LIST_STATUS = "Only batches of this status (in_progress: running)"
LIST_LIMIT = "Most batches to return, 1 to 50"
LIST_AFTER = "The after_id of the previous answer"


def _zoned(value: datetime) -> datetime:
    """Read a time without a zone as UTC, which is what the API means, and keep it where every zone can show it."""
    value = value.replace(year=min(max(value.year, 2), 9998))
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Time = Annotated[datetime, AfterValidator(_zoned)]

Status = Literal["any", "in_progress", "canceling", "ended"]


class RequestCounts(BaseModel):
    """How many requests of a batch stand where.

    The sum is the number of requests. All count as ``processing`` until the whole batch has ended; until then
    the other four may be zero and say nothing (API reference: Message Batch).
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        """The number of requests in the batch."""
        return self.processing + self.finished

    @property
    def finished(self) -> int:
        """The number of requests that have a result."""
        return self.succeeded + self.errored + self.canceled + self.expired


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

    _as_of: datetime = PrivateAttr(default_factory=lambda: datetime.now(UTC))
    _clocks_differ: timedelta = PrivateAttr(default=timedelta(minutes=1))

    @property
    def as_of(self) -> datetime:
        """When the API said this, by the API's clock where it told the time, else by this machine's."""
        return self._as_of

    @property
    def clocks_differ(self) -> timedelta:
        """By how much ``as_of`` may be off from the clock of the batch's own times."""
        return self._clocks_differ

    def said_at(self, time: datetime) -> None:
        """Note when the API said this, by its own clock, which it tells in whole seconds."""
        self._as_of, self._clocks_differ = time, timedelta(seconds=5)

    @property
    def ended(self) -> bool:
        """Whether no request of the batch runs any more."""
        return self.processing_status == "ended"


class MessageBatchList(BaseModel):
    """One page of batches, newest first (API reference: List Message Batches)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    data: list[MessageBatch]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None

    def said_at(self, time: datetime) -> None:
        """Note when the API said this, by its own clock."""
        for batch in self.data:
            batch.said_at(time)


def message_batch_id_fault(value: str) -> str | None:
    """Say what keeps a text from being a message batch id, or None when it may be one.

    Only the prefix and the characters are judged: "the format and length of IDs may change over time" (API
    reference: Message Batch).
    """
    if not value:
        return "the id is empty"
    if len(value) > ID_LIMIT:
        return f"it has {len(value):,} characters"
    if value.count(ID_PREFIX) > 1 and re.search(rf"[^A-Za-z0-9_-]+{ID_PREFIX}", value):
        return "it holds more than one id; make one call for each"
    if value.startswith("batch_"):
        return "it is an id of another provider's batch"
    if not value.startswith(ID_PREFIX):
        return f"it does not start with {ID_PREFIX}"
    if not re.fullmatch(ID_PATTERN, value):
        return f"after {ID_PREFIX} it may hold only letters, digits, - and _"
    return None


def _pasted_id(value: Any) -> Any:
    """Take an id out of what people and frameworks wrap around it: white space, or JSON text."""
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


def _checked_id(value: Any) -> Any:
    value = _pasted_id(value)
    if isinstance(value, str) and (fault := message_batch_id_fault(value)):
        raise ValueError(fault)
    return value


def _checked_cursor(value: Any) -> Any:
    value = _pasted_id(value)
    return _checked_id(value) if value else value


class ToolInput(BaseModel):
    """The arguments of a tool: these and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageBatchIdInput(ToolInput):
    """The arguments of the tools that act on one batch."""

    message_batch_id: Annotated[str, BeforeValidator(_checked_id)] = Field(description=MESSAGE_BATCH_ID)


class ListMessageBatchesInput(ToolInput):
    """The arguments of the listing tool."""

    status: Status = Field(default="any", description=LIST_STATUS)
    # Strict tool use takes no minimum or maximum: the bounds are told in words and checked here.
    limit: Annotated[int, Field(ge=1, le=50)] = Field(default=10, description=LIST_LIMIT)
    # Empty rather than null, which some frameworks' schemas cannot say.
    after_id: Annotated[str, BeforeValidator(_checked_cursor)] = Field(default="", description=LIST_AFTER)


__all__ = ["MessageBatch", "MessageBatchList", "RequestCounts"]
