"""Batches that are still running although the process that created them is gone: it crashed or was killed."""

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.record.names import with_names
from cancel_message_batch.record.store import Record

from .waiting import wait


def find_orphans(
    batches: MessageBatches, record: Record, *, timeout: float
) -> tuple[list[MessageBatch], dict[str, MessageBatchError | None]]:
    """Look up the batches whose process is gone. Without any in the record, the API is not called.

    Only batches that were created from this machine, at the base URL of the client, are looked up.

    Args:
        batches: The client.
        record: The record; batches that have ended are noted there.
        timeout: Seconds for all of it.

    Returns:
        The batches that have not ended, newest first; and the ids that could not be looked up, with the reason.
    """
    ids = [known.message_batch_id for known in record.orphans(origin(batches.connection.base_url))]
    if not ids:
        return [], {}
    state = next(wait(batches, ids, timeout=timeout))
    # One that is not found may belong to another workspace, and be running there.
    record.note_ended(name for name, batch in state.batches.items() if batch.ended)
    running = [state.batches[name] for name in ids if name in state.batches and not state.batches[name].ended]
    unknown = {name: state.failed.get(name, state.trouble) for name in ids if name not in state.batches}
    return with_names(running), unknown
