"""Batches that are still running although the process that created them is gone: it crashed or was killed."""

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.record.names import with_names
from cancel_message_batch.record.store import Record

from .waiting import Wait


def find_orphans(
    batches: MessageBatches, record: Record, *, timeout: float
) -> tuple[list[MessageBatch], dict[str, MessageBatchError | None]]:
    """Look up the batches created from this machine, at the client's base URL, whose process is gone.

    Returns those that have not ended, newest first, and the ids that could not be looked up within ``timeout`` seconds,
    with the reason. Those that have ended are noted in the record. If it knows none, the API is not called.
    """
    here = origin(batches.connection.base_url)
    ids = list(record.left_behind(here))
    if not ids:
        return [], {}
    wait = Wait(batches, ids)
    next(wait.looks(timeout))
    # One that is not found may belong to another workspace, and be running there.
    record.note_ended(here, [name for name, batch in wait.found.items() if batch.ended])
    running = [wait.found[name] for name in ids if name in wait.found and not wait.found[name].ended]
    unknown = {name: wait.failed.get(name, wait.trouble) for name in ids if name not in wait.found}
    return with_names(running), unknown
