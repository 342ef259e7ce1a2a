"""Batches whose program is gone, on the command line: as a filter, and as a hint."""

from cancel_message_batch import summary
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.batches.orphans import find_orphans
from cancel_message_batch.record import Record, open_record

from .output import Output

_PATIENCE = 30.0  # seconds in which all are looked up


def orphaned(batches: MessageBatches, output: Output) -> tuple[MessageBatch, ...]:
    """Return the batches, not ended, whose program is gone, newest first.

    Raises:
        MessageBatchError: The record cannot be used, or none of them could be looked up.
    """
    record = open_record(lambda _: None)
    found = find_orphans(batches, record, timeout=_PATIENCE)
    if record.fault:
        raise MessageBatchError(record.fault)
    if found.unknown:
        output.warn(summary.orphans_unknown(found.unknown, found.trouble))
    return found.running


def hint(batches: MessageBatches, record: Record, *, timeout: float) -> str:
    """Return what to tell a person about batches whose program is gone; nothing when none runs, or none is known."""
    found = find_orphans(batches, record, timeout=timeout)
    return summary.orphans([batch for batch in found.running if batch.processing_status == "in_progress"])
