"""Batches as rows of a table, in colour where it is wanted."""

from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.summary import facts, since

from .terminal import paint, width

_WIDTH = 78  # columns that a row takes; a narrower terminal gets several lines for each batch
_STATUS_COLORS = {"in_progress": "32", "canceling": "33", "ended": "2"}
_LIST_HEAD = f"{'ID':<33} {'STATUS':<11} {'REQUESTS':>8} {'CREATED':<11} {'AGE':>11}"
_WAIT_HEAD = f"{'ID':<33} {'STATUS':<11} {'FOR':>11} {'REQUESTS':>8} {'ENDS BY':<11}"


def fits() -> bool:
    """Whether the terminal is wide enough for a table."""
    return width() >= _WIDTH


def table(batches: Iterable[MessageBatch], stream: TextIO) -> Iterable[str]:
    """Yield the lines of a table, one batch at a time."""
    for number, batch in enumerate(batches):
        if number == 0 and fits():
            yield paint(_LIST_HEAD, "1", stream)
        yield _row(batch, stream)


def _row(batch: MessageBatch, stream: TextIO) -> str:
    """Format a batch as one line or, where the terminal is narrow, as three."""
    status, size, created = _status(batch, stream), f"{batch.request_counts.total:,}", _date(batch.created_at)
    if fits():
        return f"{facts(batch).id:<33} {status} {size:>8} {created:<11} {facts(batch).age:>11}"
    return f"{facts(batch).id}\n  {status}, {size} requests,\n  {created} ({facts(batch).age} ago)"


def waiting_table(batches: Iterable[tuple[str, MessageBatch | None]], stream: TextIO) -> Iterable[str]:
    """Yield the lines of a table of batches that are waited for, given with their ids; None is one not seen yet."""
    if fits():
        yield paint(_WAIT_HEAD, "1", stream)
    for name, batch in batches:
        yield _waiting_row(batch, stream) if batch else f"{name} …"


def _waiting_row(batch: MessageBatch, stream: TextIO) -> str:
    """Format a batch that is waited for; its counts show what is known before the end."""
    status, elapsed = _status(batch, stream), since(batch.cancel_initiated_at or batch.created_at, batch)
    counts = batch.request_counts
    size = f"{counts.finished:,}/{counts.total:,}" if counts.finished else f"{counts.total:,}"
    latest = _date(batch.expires_at) if batch.expires_at > batch.as_of else ""
    if fits():
        return f"{facts(batch).id:<33} {status} {elapsed:>11} {size:>8} {latest:<11}".rstrip()
    return f"{facts(batch).id}\n  {status} for {elapsed},\n  {size} requests{f', ends by {latest}' if latest else ''}"


def _date(time: datetime) -> str:
    return f"{time.astimezone():%m-%d %H:%M}"


def _status(batch: MessageBatch, stream: TextIO) -> str:
    """Return the status in its colour, padded to its column where there are columns."""
    shown = f"{facts(batch).status:<11}" if fits() else facts(batch).status
    return paint(shown, _STATUS_COLORS.get(batch.processing_status, "0"), stream)
