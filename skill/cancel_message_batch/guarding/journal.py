"""What the record keeps of a program under ``guard`` or ``run``: its creates, before and after, and how it ended."""

import functools
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cancel_message_batch.api.credentials import origin
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch, Record

if TYPE_CHECKING:  # a guard needs none of it
    from .created import Created


class Journal:
    """Writes down what one program does; its first create writes down the program. Threads may share it.

    Processes that are forked meanwhile write too, each as a program of its own. Unless one of them writes down its own
    end, the end that the first process writes down is that of all: they are in one guard block.

    Args:
        record: Where it is written. If that cannot be used, nothing is written.
        through: "guard" or "run".
        program: Returns the process that creates the batches.
        watched: Whether this process will write down the end of another one.
    """

    def __init__(self, record: Record, through: str, program: Callable[[], Process], *, watched: bool = False) -> None:
        self.record = record
        self._through, self._process, self._watched = through, program, watched
        self._writer = Process.current("cancel-message-batch run" if watched else None)
        self._block, self._forks = secrets.token_hex(8), len(_forks())
        self._lock = threading.Lock()
        self._programs: dict[int, int] = {}  # the number of the program in each process: a fork makes another one
        self._end: tuple[str, bool] | None = None

    def intend(self, where: str, requests: int | None = None, sha256: str | None = None) -> int | None:
        """Write down that a batch is about to be created at an origin; returns the number of this intent.

        Call it before the create request is sent whole.
        """
        return self.record.add_intent(self.program(), where, requests, sha256)

    def created(self, batch: KnownBatch, intent: int | None = None) -> None:
        """Write down a batch that was created, with its intent's number."""
        self.record.add_creation(batch, self._through, program=self.program(), intent=intent)

    def failed(self, intent: int | None, *, lost: bool) -> None:
        """Write down that no id came of an intent: the response was lost, or the batch certainly was not created."""
        self.record.settle_intent(intent, "lost" if lost else "refused")

    def end(self, how: str, *, well: bool) -> None:
        """Write down how the program ended, and whether it left what still runs on purpose."""
        first = os.getpid() == self._writer.pid
        if first and not self._watched and len(_forks()) > self._forks:
            self.program()  # a child may create later, and then needs to find the end
        with self._lock:
            self._end = how, well
            number = self._programs.get(os.getpid())
            self.record.end_program(number, how, well=well, block=self._block if first else None)

    def program(self) -> int | None:
        """Return the number of this process's program, which the first call writes down; None if it cannot."""
        with self._lock:
            number = self._programs.get(os.getpid())
            if number is None:
                watcher = self._writer if self._watched or os.getpid() != self._writer.pid else None
                number = self.record.begin_program(self._through, self._process(), watcher, self._block)
                if number is not None:
                    self._programs[os.getpid()] = number
                    if self._end:  # a create was still under way
                        self.record.end_program(number, self._end[0], well=self._end[1])
            return number


@functools.cache
def _forks() -> list[None]:
    """Return a list with one item for each fork of this process since the first call."""
    forks: list[None] = []
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(before=lambda: forks.append(None))
    return forks


class CommandJournal:
    """Writes down what the relay sees of a command under ``run``, whose batches get this name.

    ``process`` is the command; it is set before its first create. ``cancels`` are those that were sent after its end.
    """

    process: Process

    def __init__(self, record: Record, name: str) -> None:
        self.record = record
        self.cancels = CancelNotes("run", warn=lambda _: None)  # the record warns already if it cannot be used
        self._journal = Journal(record, "run", lambda: self.process, watched=True)
        self._name = name or None
        self._intents: dict[Created, int] = {}
        self._known: set[Created] = set()  # of which the record says that they were created

    def note(self, batches: "Sequence[Created]") -> bool:
        """Note what is known by now about these batches; returns whether that could be done.

        This is called for a batch before its create is sent whole, and whenever more is known. All of it is written in
        two transactions at most, however many batches there are: a disk may be slow.
        """
        if self.record.path is None:
            return True
        if (program := self._journal.program()) is None:
            return False
        # The record may have been locked, and more is known by now.
        new = [one for one in batches if one not in self._intents and _is_open(one)]
        numbers = self.record.add_intents(program, *((_where(one), one.requests or None, one.sha256) for one in new))
        if new and not numbers:
            return False
        self._intents.update(zip(new, numbers, strict=True))
        together, created = self.record.together(), []
        for batch in batches:
            if batch.message_batch_id:
                self._add(together, batch, program)
                created.append(batch)
            elif batch.over:
                together.settle_intent(self._intents.get(batch), "lost" if _is_lost(batch) else "refused")
        written = together.write()
        if written:
            self._known.update(created)
        return written

    def _add(self, together: Record, batch: "Created", program: int) -> None:
        """Add what is known about a batch that was created."""
        where, ids = _where(batch), [batch.message_batch_id]
        if batch not in self._known:
            known = KnownBatch(ids[0], where, None, batch.workspace, self._name, batch.requests or None)
            together.add_creation(known, "run", program=program, intent=self._intents.get(batch))
        if batch.kept:
            together.keep(where, ids)
        if batch.status == "ended":
            together.note_ended(where, ids)
        elif batch.status == "canceling":
            together.note_canceling(where, ids)
        elif batch.not_canceled:  # the command left it behind, not a guard block in it
            together.note_failed(program, where, ids)

    def end(self, how: str, interrupted: str, *, well: bool) -> None:
        """Note the cancels, how the command ended, after which signal, and whether it left what runs on purpose."""
        self.cancels.write(self.record)
        after = f" after {interrupted}" if interrupted not in {"", how} else ""
        self._journal.end(how + after, well=well)


def _where(batch: "Created") -> str:
    return origin(batch.base_url)


def _is_lost(batch: "Created") -> bool:
    return batch.sent and not batch.answered


def _is_open(batch: "Created") -> bool:
    """Return whether a create may still make a batch whose id is not known, or may have made one."""
    return not batch.message_batch_id and (not batch.over or _is_lost(batch))
