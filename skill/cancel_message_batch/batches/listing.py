"""Listing the batches of a workspace, narrowed by status, age, size and name."""

import contextlib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from cancel_message_batch.api.calls import finish_each
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.pages import LARGEST_PAGE, search
from cancel_message_batch.record import names
from cancel_message_batch.tools import GET, ToolOutcome

_LOOKS_FOR_A_PAGE = 20  # a page of a thousand batches takes about as long as so many looks


@dataclass(frozen=True)
class Filters:
    """Which batches to list; without any value, all of them."""

    statuses: Set[str] = frozenset()
    older_than: float | None = None  # seconds
    newer_than: float | None = None
    at_least: int | None = None  # requests
    named: str | None = None  # a pattern such as nightly*; * and ? are special, nothing else is
    ids: Set[str] | None = None

    def match(self, batch: MessageBatch) -> bool:
        """Return whether to list a batch."""
        age, name = (batch.context.as_of - batch.created_at).total_seconds(), batch.context.name
        return (
            (not self.statuses or batch.processing_status in self.statuses)
            and (self.older_than is None or age > self.older_than)
            and (self.newer_than is None or age < self.newer_than)
            and batch.request_counts.total >= (self.at_least or 0)
            and (self.ids is None or batch.id in self.ids)
            and (self.named is None or (name is not None and matches(name, self.named)))
        )


EVERY = Filters()


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern. A double quote matches the single one that names have instead."""
    return fnmatchcase(name, pattern.replace('"', "'").replace("[", "[[]"))


class Listing:
    """The batches that match, newest first; iterating fetches one page after the other.

    ``unreadable`` counts the rows of these pages that this version cannot read as batches, ``names`` holds the names of
    the batches that have one of the statuses.
    """

    def __init__(self, batches: MessageBatches, filters: Filters = EVERY, *, page: int = LARGEST_PAGE) -> None:
        self.unreadable = 0
        self.names: dict[str, None] = {}
        self._filters = filters
        self._pages = finish_each(search(batches.list, filters.statuses, limit=page))

    def __iter__(self) -> Iterator[MessageBatch]:
        seen = set()  # a batch may stand on two pages
        for page in self._pages:
            self.unreadable += page.unreadable
            new = [batch for batch in page.batches if batch.id not in seen]
            seen |= {batch.id for batch in new}
            yield from self.matching(new)

    def matching(self, batches: Sequence[MessageBatch]) -> Iterator[MessageBatch]:
        """Yield those of these batches that match."""
        named = names.known_here(batches, needed=self._filters.named is not None)
        self.names |= dict.fromkeys(batch.context.name for batch in named if batch.context.name)
        yield from filter(self._filters.match, named)


def look_up(batches: MessageBatches, message_batch_ids: Sequence[str]) -> Iterator[tuple[str, ToolOutcome]]:
    """Yield the outcome of a look at each batch, in this order; it has a text only if it failed.

    Many are read from the listing, if they are there.
    """
    found: dict[str, MessageBatch] = {}
    with contextlib.suppress(MessageBatchError):  # a look at each says what is wrong
        for batch in among_newest(batches, message_batch_ids):
            found[batch.id] = batch
    for name in message_batch_ids:
        if name in found:
            yield name, ToolOutcome("", batch=found[name])
        else:
            yield name, GET.run({"message_batch_id": name}, batches)


def among_newest(
    batches: MessageBatches, message_batch_ids: Sequence[str], *, at_least: int = 0
) -> Iterator[MessageBatch]:
    """Yield those of the batches that are on the newest pages of the listing, until all were found.

    It reads ``at_least`` so many pages, and at most one for twenty ids: old ids in a large workspace are then looked up
    one by one, which costs less.
    """
    missing = set(message_batch_ids)
    most = max(len(missing) // _LOOKS_FOR_A_PAGE, at_least)
    for page in islice(finish_each(search(batches.list)), most) if most else ():
        found = [batch for batch in page.batches if batch.id in missing]
        missing -= {batch.id for batch in found}
        yield from names.known_here(found)
        if not missing:
            break
