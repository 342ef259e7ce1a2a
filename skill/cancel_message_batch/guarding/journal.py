"""What the record keeps of a command under ``run``: each create before it is sent, and how the command ended."""

from typing import Any

from cancel_message_batch.api.credentials import origin
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch

from .created import Created


class Journal:
    """Writes about one command, from its first create on.

    Args:
        record: Where to.
        name: The name that its batches get, or nothing.

    Attributes:
        process: The command; set before its first create.
        record: As given.
    """

    process: Process

    def __init__(self, record: Any, name: str) -> None:
        self.record = record
        self._name = name or None
        self._number: int | None = None  # of the command in the record

    def note(self, batch: Created) -> None:
        """Note that a batch is about to be created; and the next time, what came of it."""
        where, requests = origin(batch.base_url), batch.requests or None
        if not hasattr(self.record, "begin_program"):  # a record that keeps batches only
            if batch.message_batch_id:
                known = KnownBatch(batch.message_batch_id, where, self.process, batch.workspace, self._name, requests)
                self.record.add_creation(known, "run")
            return
        if self._number is None:
            self._number = self.record.begin_program("run", self.process)
        if batch.intent is None:
            batch.intent = self.record.add_intent(self._number, where, requests, batch.sha256)
            return
        if batch.message_batch_id:
            known = KnownBatch(batch.message_batch_id, where, self.process, batch.workspace, self._name, requests)
            self.record.add_creation(known, "run", program=self._number)
            self.record.settle_intent(batch.intent, "created", batch.message_batch_id)
        else:
            self.record.settle_intent(batch.intent, "refused" if batch.answered else "lost")

    def end(self, how: str, *, well: bool) -> None:
        """Note how the command ended; ``well`` if what it left running was left on purpose."""
        if self._number is not None:
            self.record.end_program(self._number, how, well)
