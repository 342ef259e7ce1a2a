"""Canceling many batches side by side."""

import time
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from httpx2 import AsyncClient, Limits

from cancel_message_batch.api.client import AsyncMessageBatches, build_client
from cancel_message_batch.api.credentials import Connection
from cancel_message_batch.api.errors import MessageBatchError, clean, timed_out
from cancel_message_batch.api.requests import RetryPolicy, refused_by_limit
from cancel_message_batch.tools import CANCEL, ToolOutcome
from cancel_message_batch.words import failures

CONCURRENCY = 32  # requests under way at once
CANCEL_TIMEOUT = 3600.0  # seconds a cancel may wait for its turn: the smallest rate limit is 50 requests a minute


def client_for_many(connection: Connection) -> AsyncMessageBatches:
    """Return a client with a connection for each cancel that is under way."""
    limits = Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    return AsyncMessageBatches(connection=connection, http_client=build_client(AsyncClient, connection, limits=limits))


@dataclass
class Progress:
    """How far canceling many batches has come; it can be read after an interruption as well."""

    sent: set[str] = field(default_factory=set)
    limited: dict[str, float] = field(default_factory=dict)  # until when a batch waits that was answered 429
    outcomes: dict[str, ToolOutcome] = field(default_factory=dict)


async def cancel_many(
    batches: AsyncMessageBatches,
    message_batch_ids: Sequence[str],
    done: Callable[[ToolOutcome], None],
    *,
    limited: Callable[[float], None] = lambda _seconds: None,
    policy: RetryPolicy,
    progress: Progress,
) -> None:
    """Cancel batches, at most 32 at a time, and report each outcome as it comes.

    A request that waits because of a rate limit keeps its place, so the more the API refuses, the fewer are sent.
    """
    slots = anyio.Semaphore(CONCURRENCY)

    def pausing(message_batch_id: str, error: MessageBatchError, seconds: float) -> None:
        if refused_by_limit(error):
            progress.limited[message_batch_id] = time.monotonic() + seconds
            limited(seconds)

    async def cancel(message_batch_id: str) -> None:
        async with slots:
            progress.sent.add(message_batch_id)
            own = replace(policy, wait_out_limits=True, on_pause=partial(pausing, message_batch_id))
            sending = CANCEL.run_async({"message_batch_id": message_batch_id}, batches.with_options(own))
            outcome = await outcome_of(message_batch_id, sending)
        progress.outcomes[message_batch_id] = outcome
        done(outcome)

    async with anyio.create_task_group() as tasks:
        for message_batch_id in message_batch_ids:
            tasks.start_soon(cancel, message_batch_id)


async def outcome_of(message_batch_id: str, cancel: Awaitable[ToolOutcome]) -> ToolOutcome:
    """Return what a cancel came to: whatever happens to one batch, the others are canceled and reported."""
    try:
        return await cancel
    except Exception as error:  # noqa: BLE001 - of any kind
        what = f"something unexpected happened ({type(error).__name__}: {clean(str(error))})"
        unexpected = MessageBatchError(what, may_have_arrived=True)
        return ToolOutcome(failures.failed(unexpected, "cancel", message_batch_id), what, error=unexpected)


def sorted_outcomes(
    ids: Iterable[str], outcomes: Mapping[str, ToolOutcome], sent: Container[str]
) -> tuple[list[str], list[str], dict[str, str]]:
    """Sort what cancels came to by the time they had: canceling, ended, and failed with what is said about each."""
    canceling: list[str] = []
    ended: list[str] = []
    failed: dict[str, str] = {}
    for name in ids:
        outcome = outcomes.get(name)
        if outcome is None:
            unsent = MessageBatchError("the cancel could not be sent in time")
            failed[name] = failures.failed(timed_out() if name in sent else unsent, "cancel", name)
        elif outcome.error is not None or outcome.batch is None:
            failed[name] = outcome.text
        else:
            (ended if outcome.batch.ended else canceling).append(name)
    return canceling, ended, failed
