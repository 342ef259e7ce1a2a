"""Canceling many batches side by side."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from httpx2 import Limits

from cancel_message_batch.api.client import AsyncMessageBatches, client_over, with_policy
from cancel_message_batch.api.credentials import Connection
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.retries import RetryPolicy, refused_by_limit
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.tools import CANCEL, MessageBatchIdInput, ToolOutcome, noted

CONCURRENCY = 32  # requests under way at once
CANCEL_TIMEOUT = 3600.0  # seconds a cancel may wait for its turn: the smallest rate limit is 50 requests a minute


def client_for_many(connection: Connection) -> AsyncMessageBatches:
    """Return a client with a connection for each cancel that is under way."""
    limits = Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    return client_over(AsyncMessageBatches, connection, limits=limits)


@dataclass
class Progress:
    """How far canceling many batches has come; it can be read after an interruption as well."""

    sent: set[str] = field(default_factory=set)
    limited: dict[str, float] = field(default_factory=dict)  # until when a batch waits that was answered 429
    outcomes: dict[str, ToolOutcome] = field(default_factory=dict)
    pauses: dict[str, tuple[MessageBatchError, float]] = field(default_factory=dict)  # the last, and until when

    def last_errors(self) -> dict[str, MessageBatchError]:
        """Return the last error of each batch whose cancel was tried again."""
        for error, until in self.pauses.values():
            error.may_have_arrived |= time.monotonic() >= until  # the next attempt was under way
        return {message_batch_id: error for message_batch_id, (error, _) in self.pauses.items()}


async def cancel_many(
    batches: AsyncMessageBatches,
    message_batch_ids: Sequence[str],
    done: Callable[[ToolOutcome], None],
    *,
    limited: Callable[[float], None] = lambda _seconds: None,
    policy: RetryPolicy,
    progress: Progress,
    notes: CancelNotes,
) -> None:
    """Cancel batches, at most 32 at a time, and report each outcome as it comes; ``notes`` gets those that were sent.

    A request that waits because of a rate limit keeps its place, so the more the API refuses, the fewer are sent.
    """
    slots = anyio.Semaphore(CONCURRENCY)

    def pausing(message_batch_id: str, error: MessageBatchError, seconds: float) -> None:
        progress.pauses[message_batch_id] = error, time.monotonic() + seconds
        if refused_by_limit(error):
            progress.limited[message_batch_id] = time.monotonic() + seconds
            limited(seconds)
        policy.on_pause(error, seconds)

    async def cancel(message_batch_id: str) -> None:
        async with slots:
            progress.sent.add(message_batch_id)
            own = replace(policy, wait_out_limits=True, on_pause=partial(pausing, message_batch_id))
            given = MessageBatchIdInput(message_batch_id=message_batch_id)
            outcome = await noted(CANCEL, given, with_policy(batches, own), notes)
        progress.outcomes[message_batch_id] = outcome
        done(outcome)

    async with anyio.create_task_group() as tasks:
        for message_batch_id in message_batch_ids:
            tasks.start_soon(cancel, message_batch_id)
