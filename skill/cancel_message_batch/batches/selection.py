"""Which batches are meant: listing them, by status, age, size and name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from cancel_message_batch.api.calls import finish_each
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.pages import LARGEST_PAGE, search
from cancel_message_batch.record import names


@dataclass(frozen=True)
class Filters:
    """Which of the listed batches are meant; without a value, all of them."""

    older_than: timedelta | None = None
    newer_than: timedelta | None = None
    at_least: int | None = None
    named: str | None = None  # a pattern such as nightly*

    def __bool__(self) -> bool:
        return self != EVERY

    def match(self, batch: MessageBatch) -> bool:
        """Return whether a batch is meant."""
        age, name = batch.context.as_of - batch.created_at, batch.context.name
        return (
            (self.older_than is None or age > self.older_than)
            and (self.newer_than is None or age < self.newer_than)
            and batch.request_counts.total >= (self.at_least or 0)
            and (self.named is None or (name is not None and fnmatchcase(name, self.named)))
        )


EVERY = Filters()


def listing(
    batches: MessageBatches,
    status: str | None = None,
    *,
    page: int = LARGEST_PAGE,
    filters: Filters = EVERY,
    unreadable: Callable[[int], None] = lambda _number: None,
) -> Iterator[MessageBatch]:
    """Yield the batches of one status, or all, newest first, holding one page at a time."""
    for findings in finish_each(search(batches.list, status, limit=page)):
        unreadable(findings.unreadable)
        yield from filter(filters.match, names.with_names(findings.batches))


def found(batches: MessageBatches, statuses: Iterable[str], filters: Filters) -> tuple[list[MessageBatch], int]:
    """Return the batches of these statuses that are meant, newest first, and how many could not be read."""
    # By id: a batch that is created meanwhile moves the pages, and one batch then stands on two of them. One that is
    # canceled meanwhile is listed with both statuses.
    by_id: dict[str, MessageBatch] = {}
    unreadable = 0
    for status in statuses:
        seen: list[int] = []
        listed = listing(batches, status, filters=filters, unreadable=seen.append)
        by_id |= {batch.id: batch for batch in listed}
        unreadable = max(unreadable, sum(seen))  # each status is looked for in the same pages
    return sorted(by_id.values(), key=lambda batch: batch.created_at, reverse=True), unreadable
