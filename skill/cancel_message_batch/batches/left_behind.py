"""Batches that were left behind: they run although their program is gone. And those that may have been."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.record.names import known_here
from cancel_message_batch.record.store import Intent, Record

from .listing import Listing
from .waiting import Wait

_LIFETIME = timedelta(hours=25)  # after this a batch has ended: it expires 24 hours after its creation
_BEFORE, _AFTER = timedelta(minutes=5), timedelta(minutes=15)  # the intent: clocks differ, and a create may take long


def find_left_behind(
    batches: MessageBatches, record: Record, *, timeout: float, recent: bool = False
) -> tuple[list[MessageBatch], dict[str, MessageBatchError | None]]:
    """Look up the batches at the client's base URL that the record calls left behind; ``recent``: of the last day only.

    Returns those that have not ended, newest first, and the ids that could not be looked up within ``timeout`` seconds,
    with the reason. Those that have ended are noted in the record. If it knows none, the API is not called.

    Raises:
        MessageBatchError: The record cannot be used.
    """
    here = origin(batches.connection.base_url)
    left = record.left_behind(here)
    if record.fault:
        raise MessageBatchError(record.fault)
    left = {name: creator for name, creator in left.items() if not (recent and _is_over(creator.at))}
    if not left:
        return [], {}
    wait = Wait(batches, list(left))
    next(wait.looks(timeout))
    unknown = {name: wait.failed.get(name, wait.trouble) for name in left if name not in wait.found}
    ended = [name for name, batch in wait.found.items() if batch.ended]
    # One that is not found may belong to another workspace, and be running there.
    ended += [name for name in unknown if name in wait.failed and _is_over(left[name].at)]
    record.note_ended(here, ended)
    running = known_here([wait.found[name] for name in left if name in wait.found and name not in ended])
    return running, {name: unknown[name] for name in unknown if name not in ended}


def may_be_ours(batches: MessageBatches, record: Record) -> Iterator[tuple[MessageBatch, Intent]]:
    """Yield the unfinished batches that fit a create whose response never came and whose program is over.

    They have its time and number of requests, and the record does not know who created them. Another program may have.
    ``run`` may have counted too many requests: where no batch has its number, those with fewer fit. Without such a
    create, the API is not called.
    """
    here = origin(batches.connection.base_url)
    intents, fitting = record.open_intents(here), set()
    near: list[tuple[MessageBatch, list[Intent]]] = []  # each with the creates of its time
    for batch in Listing(batches) if intents else ():
        # Where this machine's clock is wrong, it probably was so when the intent was written.
        wrong = batch.context.as_of - datetime.now(UTC)
        began = [(intent, at) for intent in intents for at in (intent.at, intent.at + wrong)]
        if batch.created_at < min(at for _, at in began) - _BEFORE:
            break
        those = [intent for intent, at in began if -_BEFORE < batch.created_at - at < _AFTER]
        if those and not batch.ended and not record.creators(here, [batch.id]):
            near.append((batch, those))
    exact = {one.number for batch, those in near for one in those if one.requests == batch.request_counts.total}
    for batch, those in near:
        size = batch.request_counts.total
        for intent in sorted(those, key=lambda one: one.requests != size):
            smaller = intent.creator.through == "run" and intent.number not in exact and size < (intent.requests or 0)
            if intent.requests in {None, size} or smaller:
                fitting.add(intent.number)
                yield batch, intent
                break
    for intent in intents:
        if _is_over(intent.at) and intent.number not in fitting:
            record.settle_intent(intent.number, "expired")


def _is_over(created: datetime) -> bool:
    """Return whether a batch of this time has ended, or the clock was changed meanwhile."""
    return abs(datetime.now(UTC) - created) > _LIFETIME
