"""Many batches at once: which ones, and canceling them side by side."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
from httpx2 import AsyncClient, Limits, Request

from cancel_message_batch import summary
from cancel_message_batch.api.client import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    AsyncMessageBatches,
    MessageBatches,
    build_client,
)
from cancel_message_batch.api.credentials import Connection
from cancel_message_batch.api.errors import MessageBatchError, clean, retry_after_seconds
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.tools import CANCEL, RUNNING, ToolOutcome, long_over

CONCURRENCY = 32  # requests under way at once
TIMEOUT = 3600.0  # seconds a cancel may wait for its turn: the smallest rate limit is 50 requests a minute


def matching(
    batches: MessageBatches,
    *,
    older_than: timedelta | None = None,
    newer_than: timedelta | None = None,
    at_least: int = 0,
) -> list[MessageBatch]:
    """Find the batches in progress, newest first.

    Args:
        batches: The client.
        older_than: Only those created longer ago than this.
        newer_than: Only those created more recently than this.
        at_least: Only those with at least so many requests.
    """
    found = {}  # by id: the pages shift when a batch is created meanwhile, and then one stands on two
    for batch in listing(batches, "in_progress"):
        age = batch.as_of - batch.created_at
        if older_than is not None and age <= older_than:
            continue
        if newer_than is not None and age >= newer_than:
            continue
        if batch.request_counts.total >= at_least:
            found[batch.id] = batch
    return list(found.values())


def listing(batches: MessageBatches, status: str | None = None, *, page: int = 1000) -> Iterator[MessageBatch]:
    """Yield the batches of one status, or all, newest first, without holding more than one page."""
    for part in batches.list(limit=page).iter_pages():
        yield from (batch for batch in part.data if status in {None, batch.processing_status})
        if status in RUNNING and long_over(part.data):
            return


@dataclass
class Progress:
    """How far canceling many batches has come, for a report after an interruption as well."""

    waiting: list[str]
    sent: set[str] = field(default_factory=set)
    outcomes: dict[str, ToolOutcome] = field(default_factory=dict)


async def cancel_all(
    connection: Connection,
    progress: Progress,
    done: Callable[[ToolOutcome], None],
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - for each call, not for all
    max_retries: int,
) -> None:
    """Cancel every batch of ``progress.waiting``, and tell each outcome as it comes."""
    limits = Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    http = build_client(AsyncClient, connection, limits=limits)
    slots = anyio.Semaphore(CONCURRENCY)
    async with (
        _Patient(connection=connection, timeout=timeout, max_retries=max_retries, http_client=http) as batches,
        anyio.create_task_group() as tasks,
    ):

        async def cancel(message_batch_id: str) -> None:
            async with slots:
                progress.sent.add(message_batch_id)
                outcome = await _cancel(message_batch_id, batches)
            progress.outcomes[message_batch_id] = outcome
            done(outcome)

        for message_batch_id in progress.waiting:
            tasks.start_soon(cancel, message_batch_id)


async def _cancel(message_batch_id: str, batches: AsyncMessageBatches) -> ToolOutcome:
    try:
        return await CANCEL.run_async({"message_batch_id": message_batch_id}, batches)
    except Exception as error:  # noqa: BLE001 - whatever happens to one, the others are canceled and told
        unexpected = MessageBatchError(f"something unexpected happened ({type(error).__name__}: {clean(str(error))})")
        unexpected.may_have_arrived = True
        text = summary.failed(unexpected, "cancel", message_batch_id)
        return ToolOutcome(text, is_error=True, error=unexpected)


class _Patient(AsyncMessageBatches):
    """A client that waits for as long as the API asks it to, and tries again, until the time is up.

    A request that waits keeps its place among those under way, so the more the API refuses, the fewer are sent.
    """

    async def _send(self, request: Request) -> Any:
        shortest = FIRST_PAUSE
        while True:
            answer = await super()._send(request)
            asked = retry_after_seconds(answer.headers) if answer.status == 429 else None
            if asked is None or not self._max_retries or answer.headers.get("x-should-retry") == "false":
                return answer
            # Less than a second, asked for again and again, would be a flood.
            pause = asked if asked >= 1 else max(asked, shortest)
            if time.monotonic() + pause >= request.extensions["deadline"]:
                return answer
            await anyio.sleep(pause)
            shortest = min(shortest * 2, LONGEST_PAUSE)
