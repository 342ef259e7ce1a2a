"""How an id, a size, a time and an age are written, for people and for models."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from cancel_message_batch.api.errors import clean, quoted, word
from cancel_message_batch.api.models import ID_PREFIX, MessageBatch, shown_id


class Facts(NamedTuple):
    """What is shown of a batch, safe to show anywhere."""

    id: str
    name: str  # the name that a person gave it, in quotation marks; may be empty
    title: str  # id and name
    status: str
    state: str  # id and status
    requests: int
    size: str  # the number of requests, in words
    created: str  # local time and age
    creator: str  # who created it, as far as this machine knows; may be empty


def facts(batch: MessageBatch) -> Facts:
    """Return what can be shown of a batch."""
    shown, status = shown_id(batch.id), _status(batch.processing_status)
    name = f'"{batch.context.name}"' if batch.context.name else ""
    created, requests = moment(batch.created_at, batch), batch.request_counts.total
    size = counted(requests, "request")
    state, title = f"{shown}: {status}", f"{shown} {name}".rstrip()
    return Facts(shown, name, title, status, state, requests, size, created, creator(batch))


def _status(value: str) -> str:
    """Write a status as the API sent it; what is not one word stands in quotation marks."""
    return value if word(value, 40) == value else quoted(clean(value, limit=40))


def creator(batch: MessageBatch) -> str:
    """Say who created a batch, in words that follow "It was"; nothing if no record could say so."""
    by = batch.context.created_by
    if by is None:
        return ""
    if not by.program:
        return "not created through this machine"
    where = f'on "{by.host}"' if by.host else "on this machine"
    again = f" (still running, pid {by.pid}: it may send canceled requests again)"
    return f'created by "{by.program}" {where}{again if by.alive and not batch.ended else ""}'


_SPELLED = {"I": "capital I", "l": "small L", "1": "digit one", "O": "capital O", "0": "digit zero"}
_AS_SEEN = str.maketrans("I1O", "ll0")


class LookAlikes:
    """Finds ids that only characters that look alike (I l 1, O 0) tell from one another."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._groups: dict[str, set[str]] = {}
        for name in ids:
            self.add(name)

    def add(self, message_batch_id: str) -> None:
        """Add an id to those that are compared."""
        self._groups.setdefault(message_batch_id.translate(_AS_SEEN), set()).add(message_batch_id)

    def difference(self, message_batch_id: str) -> str:
        """Return a line to stand below an id, which points at the characters and names them; mostly there is none.

        It needs no colour, and the id above it stays as it is, so that it can be copied.
        """
        group = self._groups.get(message_batch_id.translate(_AS_SEEN), set())
        places = [place for place, found in enumerate(zip(*group, strict=True)) if len(set(found)) > 1]
        carets = "".join("^" if place in places else " " for place in range(max(places, default=-1) + 1))
        return f"{carets} {', '.join(_SPELLED[message_batch_id[place]] for place in places)}".rstrip()


def spaced(ids: Sequence[str]) -> str:
    """Write ids as arguments of a command."""
    return " ".join(map(shown_id, ids))


def moment(time: datetime | None, batch: MessageBatch) -> str:
    """Write a local time, with its distance from the API's answer: ``2026-11-23 14:59 CET (2 h 5 min ago)``."""
    if time is None:
        return "an unknown time"
    return f"{time.astimezone():%Y-%m-%d %H:%M %Z} ({distance(time, batch)})"


def distance(time: datetime, batch: MessageBatch) -> str:
    """Write how far a time is from the API's answer: ``2 h 5 min ago``, ``in 40 s``."""
    seconds = (batch.context.as_of - time).total_seconds()
    if abs(seconds) < 2:  # the API's clock counts whole seconds
        return "just now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def duration(seconds: float) -> str:
    """Write a duration in its two largest units: ``40 s``, ``5 min``, ``2 h 5 min``, ``29 d 3 h``."""
    left = int(seconds)
    if left < 60:
        return f"{left} s"
    minutes, hours, days = left // 60, left // 3600, left // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min".replace(" 0 min", "")
    return f"{days} d {hours % 24} h".replace(" 0 h", "")


def sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop."""
    text = text[:1].upper() + text[1:] if not text.startswith((ID_PREFIX, "'")) else text
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def from_elsewhere(text: str, source: str) -> str:
    """Set clean text of the API or of a file apart. Nothing of ours may follow it: it could seem to go on."""
    return f"Text from {source}, not advice: {quoted(text)}"


def counts(batch: MessageBatch) -> str:
    """Write the counts that are not zero."""
    order = ("succeeded", "errored", "canceled", "expired", "processing")
    numbers = [(getattr(batch.request_counts, name), name) for name in order]
    return ", ".join(f"{number:,} {name}" for number, name in numbers if number)


def counted(number: int, what: str) -> str:
    """Write a number of things: ``1 message batch``, ``12,850 requests``."""
    plural = "es" if what.endswith("ch") else "s"
    return f"{number:,} {what}{plural if number != 1 else ''}"


def latest_end(batch: MessageBatch) -> str:
    """Say by when a batch will have ended."""
    overdue = batch.expires_at < batch.context.as_of
    return "within 24 h of creation" if overdue else f"by {moment(batch.expires_at, batch)}"


def billed(counts: str) -> str:
    """Say which of these counts are billed."""
    return counts.replace(" succeeded", " succeeded (billed)").replace(" canceled", " canceled (not billed)")


def day_and_time(time: datetime, batch: MessageBatch) -> str:
    """Write a local time with its zone, and with the year where that is not the current one: ``11-23 14:59 CET``."""
    local = time.astimezone()
    year = "" if local.year == batch.context.as_of.astimezone().year else "%Y-"
    return local.strftime(f"{year}%m-%d %H:%M %Z")


def amount(batches: Sequence[MessageBatch]) -> str:
    """Sum batches up: ``2 message batches, 12,850 requests``. A single one gets its id and name."""
    one = len(batches) == 1
    which = f"message batch {facts(batches[0]).title}" if one else counted(len(batches), "message batch")
    return f"{which}, {counted(sum(batch.request_counts.total for batch in batches), 'request')}"
