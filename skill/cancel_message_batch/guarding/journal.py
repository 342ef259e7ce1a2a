"""What the record keeps of a command under ``run``: each batch that it creates."""

from collections.abc import Iterable

from cancel_message_batch.api.credentials import origin
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch, Record

from .created import Created


class Journal:
    """Writes the batches of one command, and the name that they get, into a record.

    ``process`` is the command; it is set before its first create.
    """

    process: Process

    def __init__(self, record: Record, name: str) -> None:
        self.record = record
        self._name = name or None

    def note(self, batch: Created) -> None:
        """Note a batch once its id is known. Before that, there is nothing that the record keeps."""
        if batch.message_batch_id:
            where, requests = origin(batch.base_url), batch.requests or None
            known = KnownBatch(batch.message_batch_id, where, self.process, batch.workspace, self._name, requests)
            self.record.add_creation(known, "run")

    def note_ended(self, batches: Iterable[Created]) -> None:
        """Note batches that have ended."""
        for batch in batches:
            self.record.note_ended(origin(batch.base_url), [batch.message_batch_id])
