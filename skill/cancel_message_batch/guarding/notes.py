"""What the record keeps of a guarded block: its creates before they are sent, its batches, and how it ended."""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sized

from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import Action, KnownBatch, Record
from cancel_message_batch.tools import ToolOutcome

from .journal import Journal


class Notes(Journal):
    """Writes about one guarded block into a record. Where the record cannot be used, nothing is kept.

    A disk may be slow, and the record locked. So a note is added first, and written in another thread.

    ``origin`` is where the block's batches are.
    """

    def __init__(self, record: Record, origin: str) -> None:
        super().__init__(record, "guard", Process.current)
        self.origin = origin
        self._added: deque[Callable[[], object]] = deque()
        self._writing = threading.Lock()

    def add(self, note: Callable[[], object]) -> None:
        """Add a note, which is written by a call of the other methods, after those that were added before."""
        self._added.append(note)

    def write(self) -> None:
        """Write what was added, unless another thread has; then it has been written when this returns."""
        with self._writing:
            while self._added:
                self._added.popleft()()

    def intent(self, requests: Iterable[object]) -> int | None:
        """Note that a batch of these requests will be created, before anything is sent."""
        if self.record.path is None:
            return None
        size = len(requests) if isinstance(requests, Sized) else None
        return self.intend(self.origin, size, _sha256(requests))

    def keep(self, ids: Iterable[str]) -> None:
        """Note that batches are left running on purpose."""
        self.record.keep(self.origin, ids)

    def canceled(self, outcomes: Mapping[str, ToolOutcome], created: Mapping[str, KnownBatch], why: str) -> None:
        """Note what came of cancels that were sent, and which batches have ended."""
        self.record.add_action(
            *(
                Action(name, "guard", "cancel", None, why, one.answer, self.origin, created[name].workspace)
                for name, one in outcomes.items()
            )
        )
        self.record.note_ended(self.origin, (name for name, one in outcomes.items() if one.batch and one.batch.ended))


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
