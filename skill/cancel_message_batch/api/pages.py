"""Going through the pages of a listing: for listing, filtering and iterating, sync and async."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from .calls import as_message_batch, call, finish_each
from .errors import APIResponseError
from .models import Context, MessageBatch, message_batch_id_fault, without_surrogates

LARGEST_PAGE = 1000  # batches; API reference: List Message Batches
RUNNING = frozenset({"in_progress", "canceling"})


class _Page(BaseModel):
    """One page of batches, newest first (API reference: List Message Batches)."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)  # most programs list nothing

    data: list[MessageBatch]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None

    _unreadable: int = PrivateAttr(default=0)
    _pages: Callable[..., AsyncGenerator[Any, None]] = PrivateAttr()

    @property
    def unreadable(self) -> int:
        """How many objects of the page are not batches as this version knows them."""
        return self._unreadable

    @classmethod
    def read(cls, body: bytes, context: Context) -> Self:
        """Read a page; one batch that cannot be read does not hide the others."""
        try:
            return cls.model_validate_json(body, context=context)
        except ValidationError:
            page = json.loads(body)
            data = page.get("data") if isinstance(page, dict) else None
            if not isinstance(data, list):
                raise
        batches = []
        for one in data:
            with contextlib.suppress(ValidationError):
                batches.append(MessageBatch.model_validate(without_surrogates(one), context=context))
        listed = cls.model_validate({**page, "data": batches})
        listed._unreadable = len(data) - len(batches)  # noqa: SLF001 - its own class
        return listed

    def followed_by(self, list_page: Callable[..., Any], **options: Any) -> Self:
        """Return this page, with the way to list the pages that follow."""
        self._pages = partial(pages, list_page, **options)
        return self


class MessageBatchPage(_Page):
    """One page of batches (``data``); iterating over it goes on through all the pages that follow."""

    def __iter__(self) -> Iterator[MessageBatch]:  # type: ignore[override]  # as the SDK's page
        for page in finish_each(self._pages(first=self)):
            yield from page.data


class AsyncMessageBatchPage(_Page):
    """One page of batches (``data``); iterating over it goes on through all the pages that follow."""

    async def __aiter__(self) -> AsyncIterator[MessageBatch]:
        async for page in self._pages(first=self):
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


async def pages(
    list_page: Callable[..., Any],
    *,
    limit: int,
    after_id: str | None = None,
    before_id: str | None = None,
    first: Any = None,
) -> AsyncGenerator[Any, None]:
    """Yield page after page, ours or the SDK's, until a server has no more, or repeats itself."""
    name, end = ("before_id", "first_id") if before_id else ("after_id", "last_id")
    cursor = before_id or after_id
    page = first or await call(list_page, limit=limit, **({name: cursor} if cursor else {}))
    seen = {cursor} - {None}
    while True:
        yield page
        cursor = _cursor(page, end)
        if cursor is None or cursor in seen:
            return
        seen.add(cursor)
        before, page = page, await call(list_page, limit=limit, **{name: cursor})
        if getattr(page, end) in seen or _ids(page) == _ids(before):
            return


def _cursor(page: Any, end: str) -> str | None:
    """Return the id behind which a listing goes on, or None at its end; what is no id gives way to one on the page."""
    if (named := getattr(page, end)) is None or not page.has_more:
        return None
    ids = _ids(page) if end == "first_id" else _ids(page)[::-1]
    for one in (named, *ids):
        if isinstance(one, str) and not message_batch_id_fault(one):
            return one
    raise APIResponseError("the listing goes on behind something that is not a message batch id", from_api=True)


def _ids(page: Any) -> list[str]:
    return [batch.id for batch in page.data or ()]


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
    async for page in pages(list_page, limit=limit, after_id=after_id):
        batches, unreadable = [], getattr(page, "unreadable", 0)
        for listed in page.data or ():
            with contextlib.suppress(APIResponseError):
                if not message_batch_id_fault((batch := as_message_batch(listed, list_page)).id):
                    batches.append(batch)
                    continue
            unreadable += 1  # also one with an id that no request could name
        more = page.has_more and not (set() < statuses <= RUNNING and _long_over(batches))
        found = [batch for batch in batches if not statuses or batch.processing_status in statuses]
        yield Findings(found, len(batches), more=more, unreadable=unreadable)
        if not more:
            return


def _long_over(page: Sequence[MessageBatch]) -> bool:
    """Return whether no batch on a later page can still be running.

    A batch ends 24 h after its creation at the latest (API reference: Message Batch); a day is left for clocks.
    """
    return bool(page) and page[-1].expires_at < page[-1].context.as_of - timedelta(days=1)
