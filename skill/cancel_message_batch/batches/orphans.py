"""Batches that run on though the process that created them is gone: killed, crashed, or off with the power."""

from dataclasses import dataclass

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.record import names
from cancel_message_batch.record.store import Record

from .waiting import wait


@dataclass(frozen=True)
class Orphans:
    """What was found of the batches whose process is gone.

    Args:
        running: Those that have not ended, newest first.
        unknown: The ids of those that could not be looked up.
        trouble: Why one of them could not, or None.
    """

    running: tuple[MessageBatch, ...] = ()
    unknown: tuple[str, ...] = ()
    trouble: MessageBatchError | None = None


def find_orphans(batches: MessageBatches, record: Record, *, timeout: float) -> Orphans:
    """Look up the batches in the record whose process is gone; without any, the API is not called.

    Only what the record saw being created from this machine is looked for, at the base URL that is in force.

    Args:
        batches: The client.
        record: The record; batches that have ended are noted there.
        timeout: Seconds for all of it.
    """
    ids = [known.message_batch_id for known in record.orphans(origin(batches.connection.base_url))]
    if not ids:
        return Orphans()
    state = next(wait(batches, ids, timeout=timeout))
    # One that is not found may be of another workspace than the credential's, and may run there.
    record.note_ended(name for name, batch in state.batches.items() if batch.ended)
    running = [state.batches[name] for name in ids if name in state.batches and not state.batches[name].ended]
    return Orphans(
        tuple(names.with_names(running)),
        tuple(name for name in ids if name not in state.batches),
        next(iter(state.failed.values()), state.trouble),
    )
