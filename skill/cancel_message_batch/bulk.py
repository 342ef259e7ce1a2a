"""Many batches at once: which ones, and canceling them side by side."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
from httpx2 import AsyncClient, Limits, Request

from .client import AsyncMessageBatches, MessageBatches
from .credentials import Connection
from .errors import retry_after_seconds
from .models import MessageBatch
from .tools import CANCEL, RUNNING, ToolOutcome, long_over

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
    found = []
    for batch in listing(batches, "in_progress"):
        age = batch.as_of - batch.created_at
        if older_than is not None and age <= older_than:
            continue
        if newer_than is not None and age >= newer_than:
            continue
        if batch.request_counts.total >= at_least:
            found.append(batch)
    return found


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
    http = AsyncClient(auth=connection.auth, limits=limits)
    slots = anyio.Semaphore(CONCURRENCY)
    async with (
        _Patient(connection=connection, timeout=timeout, max_retries=max_retries, http_client=http) as batches,
        anyio.create_task_group() as tasks,
    ):

        async def cancel(message_batch_id: str) -> None:
            async with slots:
                progress.sent.add(message_batch_id)
                outcome = await CANCEL.run_async({"message_batch_id": message_batch_id}, batches)
            progress.outcomes[message_batch_id] = outcome
            done(outcome)

        for message_batch_id in progress.waiting:
            tasks.start_soon(cancel, message_batch_id)


class _Patient(AsyncMessageBatches):
    """A client that waits for as long as the API asks it to, and tries again, until the time is up.

    A request that waits keeps its place among those under way, so the more the API refuses, the fewer are sent.
    """

    async def _send(self, request: Request) -> Any:
        while True:
            answer = await super()._send(request)
            pause = retry_after_seconds(answer.headers) if answer.status == 429 else None
            if pause is None or time.monotonic() + pause >= request.extensions["deadline"]:
                return answer
            await anyio.sleep(pause)
