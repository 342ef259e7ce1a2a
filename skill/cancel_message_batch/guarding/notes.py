"""What the record keeps of a guarded block: its creates before they are sent, its batches, and how it ended."""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sized

from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import Action, KnownBatch, Record
from cancel_message_batch.tools import ToolOutcome


class Notes:
    """Writes about one guarded block into a record. Where the record cannot be used, nothing is kept.

    ``origin`` is where the block's batches are.
    """

    def __init__(self, record: Record, origin: str) -> None:
        self.origin = origin
        self._record = record
        self._programs: dict[int, int | None] = {}  # by pid: a forked child is a program of its own
        self._lock = threading.Lock()

    def intent(self, requests: Iterable[object]) -> int | None:
        """Note that a batch of these requests will be created, before anything is sent."""
        if self._record.path is None:
            return None
        size = len(requests) if isinstance(requests, Sized) else None
        return self._record.add_intent(self._program(), self.origin, size, _sha256(requests))

    def settle(self, intent: int | None, outcome: str) -> None:
        """Note that a create was "refused", or its response "lost"."""
        self._record.settle_intent(intent, outcome)

    def created(self, batch: KnownBatch, intent: int | None) -> None:
        """Note a batch that was created."""
        self._record.add_creation(batch, "guard", program=self._program(), intent=intent)

    def keep(self, message_batch_id: str) -> None:
        """Note that a batch is left running on purpose."""
        self._record.keep(self.origin, [message_batch_id])

    def canceled(self, outcomes: Mapping[str, ToolOutcome], created: Mapping[str, KnownBatch], why: str) -> None:
        """Note what came of cancels that were sent, and which batches have ended."""
        self._record.add_action(
            *(
                Action(name, "guard", "cancel", None, why, one.answer, self.origin, created[name].workspace)
                for name, one in outcomes.items()
            )
        )
        self._record.note_ended(self.origin, (name for name, one in outcomes.items() if one.batch and one.batch.ended))

    def end(self, how: str, *, well: bool) -> None:
        """Note how the block ended, if it has created anything."""
        self._record.end_program(self._programs.get(os.getpid()), how, well=well)

    def _program(self) -> int | None:
        with self._lock:
            if (pid := os.getpid()) not in self._programs:
                self._programs[pid] = self._record.begin_program("guard", Process.current())
            return self._programs[pid]


def _sha256(requests: Iterable[object]) -> str | None:
    """Return the hash of the body in which the SDK sends these requests; None if they have no JSON."""
    body = hashlib.sha256(b'{"requests":[')
    try:
        for number, request in enumerate(requests):
            text = json.dumps(request, ensure_ascii=False, separators=(",", ":"), default=str)
            body.update((b"," if number else b"") + text.encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError):
        return None
    body.update(b"]}")
    return body.hexdigest()
