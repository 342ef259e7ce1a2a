"""Going through the pages of a listing: for listing, filtering and iterating, sync and async."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .calls import as_message_batch, call, finish_each
from .errors import APIResponseError
from .models import MessageBatch, MessageBatchList

LARGEST_PAGE = 1000  # batches; API reference: List Message Batches
RUNNING = frozenset({"in_progress", "canceling"})


def next_cursor(page: Any, cursor: str | None, *, backwards: bool) -> str | None:
    """Return where the page after this one, ours or the SDK's, begins; None when this is the last."""
    following: str | None = page.first_id if backwards else page.last_id
    # A cursor that does not move would be followed for ever.
    return following if page.has_more and following != cursor else None


async def walk(
    list_page: Callable[..., Any],
    *,
    limit: int,
    after_id: str | None = None,
    before_id: str | None = None,
    first: Any = None,
) -> AsyncGenerator[Any, None]:
    """Yield page after page."""
    cursor, name = (before_id, "before_id") if before_id else (after_id, "after_id")
    page = first or await call(list_page, limit=limit, **({name: cursor} if cursor else {}))
    # A server that repeats itself would be followed forever.
    cursors, before = {cursor}, None
    while True:
        yield page
        cursor = next_cursor(page, cursor, backwards=name == "before_id")
        if cursor is None or cursor in cursors:
            return
        cursors.add(cursor)
        before = _ids(page)
        page = await call(list_page, limit=limit, **{name: cursor})
        if _ids(page) == before:
            return


def _ids(page: Any) -> list[str]:
    return [str(batch.id) for batch in page.data or ()]


@dataclass(frozen=True)
class Findings:
    """What one page holds of the batches that are looked for."""

    batches: list[MessageBatch]  # newest first
    searched: int  # how many batches the page held
    more: bool  # a later page may hold some
    unreadable: int = 0  # objects on the page that are not batches as this version knows them


async def search(
    list_page: Callable[..., Any],
    statuses: Set[str] = frozenset(),
    *,
    limit: int = LARGEST_PAGE,
    after_id: str | None = None,
) -> AsyncGenerator[Findings, None]:
    """Yield, page by page, the batches with one of these statuses; without statuses, all. The API does not filter.

    A search for running batches ends where none can follow.
    """
    cursor = after_id
    async for page in walk(list_page, limit=limit, after_id=after_id):
        batches, unreadable = [], getattr(page, "unreadable", 0)
        for listed in page.data or ():
            try:
                batches.append(as_message_batch(listed))
            except APIResponseError:
                unreadable += 1
        cursor = next_cursor(page, cursor, backwards=False)
        over = cursor is None or (set() < statuses <= RUNNING and _long_over(batches))
        found = [batch for batch in batches if not statuses or batch.processing_status in statuses]
        yield Findings(found, len(batches), more=not over, unreadable=unreadable)
        if over:
            return


def _long_over(page: Sequence[MessageBatch]) -> bool:
    """Return whether no batch on a later page can still be running.

    A batch ends 24 h after its creation at the latest (API reference: Message Batch); a day is left for clocks.
    """
    return bool(page) and page[-1].expires_at < page[-1].context.as_of - timedelta(days=1)


class _Page:
    """What the sync and the async page share: the API's answer, and the pages that follow."""

    def __init__(self, listed: MessageBatchList, list_page: Callable[..., Any], **options: Any) -> None:
        self.data = listed.data
        self.has_more = listed.has_more
        self.first_id = listed.first_id
        self.last_id = listed.last_id
        self.unreadable = listed.unreadable
        self._list_page, self._options = list_page, options

    def _pages(self) -> AsyncGenerator[Any, None]:
        return walk(self._list_page, first=self, **self._options)


class MessageBatchPage(_Page):
    """One page of batches (``data``); iterating over it goes on through all the pages that follow."""

    def __iter__(self) -> Iterator[MessageBatch]:
        for page in finish_each(self._pages()):
            yield from page.data


class AsyncMessageBatchPage(_Page):
    """One page of batches (``data``); iterating over it goes on through all the pages that follow."""

    async def __aiter__(self) -> AsyncIterator[MessageBatch]:
        async for page in self._pages():
            for batch in page.data:
                yield batch


class AsyncListing:
    """What the async ``list`` returns: await it for the first page, or iterate over it for every batch."""

    def __init__(self, first_page: Callable[[], Any]) -> None:
        self._first_page = first_page

    def __await__(self) -> Generator[Any, None, AsyncMessageBatchPage]:
        page: Generator[Any, None, AsyncMessageBatchPage] = self._first_page().__await__()
        return page

    async def __aiter__(self) -> AsyncIterator[MessageBatch]:
        async for batch in await self:
            yield batch
