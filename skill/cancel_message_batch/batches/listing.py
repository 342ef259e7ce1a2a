"""Listing the batches of a workspace, narrowed by status, age, size and name."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cancel_message_batch.api.calls import finish_each
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.pages import LARGEST_PAGE, search
from cancel_message_batch.record import names


@dataclass(frozen=True)
class Filters:
    """Which batches to list; without any value, all of them."""

    statuses: Set[str] = frozenset()
    older_than: float | None = None  # seconds
    newer_than: float | None = None
    at_least: int | None = None  # requests
    named: str | None = None  # a pattern such as nightly*; * and ? are special, nothing else is

    def match(self, batch: MessageBatch) -> bool:
        """Return whether to list a batch."""
        age, name = (batch.context.as_of - batch.created_at).total_seconds(), batch.context.name
        return (
            (not self.statuses or batch.processing_status in self.statuses)
            and (self.older_than is None or age > self.older_than)
            and (self.newer_than is None or age < self.newer_than)
            and batch.request_counts.total >= (self.at_least or 0)
            and (self.named is None or (name is not None and matches(name, self.named)))
        )


EVERY = Filters()


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern. A double quote matches the single one that names have instead."""
    return fnmatchcase(name, pattern.replace('"', "'").replace("[", "[[]"))


class Listing:
    """The batches that match, newest first; iterating fetches one page after the other.

    ``unreadable`` counts the rows of these pages that this version cannot read as batches.
    """

    def __init__(self, batches: MessageBatches, filters: Filters = EVERY, *, page: int = LARGEST_PAGE) -> None:
        self.unreadable = 0
        self._filters = filters
        self._pages = finish_each(search(batches.list, filters.statuses, limit=page))

    def __iter__(self) -> Iterator[MessageBatch]:
        seen = set()  # a batch may stand on two pages
        for page in self._pages:
            self.unreadable += page.unreadable
            new = [batch for batch in page.batches if batch.id not in seen]
            seen |= {batch.id for batch in new}
            yield from filter(self._filters.match, names.with_names(new))
