"""What the record keeps of a program under ``guard`` or ``run``: its creates, before and after, and how it ended."""

import functools
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from cancel_message_batch.api.credentials import origin
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
        return self.record.add_intent(self._program(), where, requests, sha256)

    def created(self, batch: KnownBatch, intent: int | None = None) -> None:
        """Write down a batch that was created, with its intent's number."""
        self.record.add_creation(batch, self._through, program=self._program(), intent=intent)

    def failed(self, intent: int | None, *, lost: bool) -> None:
        """Write down that no id came of an intent: the response was lost, or the batch certainly was not created."""
        self.record.settle_intent(intent, "lost" if lost else "refused")

    def left(self, where: str, message_batch_id: str) -> None:
        """Write down that the program could not cancel a batch."""
        self.record.note_failed(self._program(), where, [message_batch_id])

    def end(self, how: str, *, well: bool) -> None:
        """Write down how the program ended, and whether it left what still runs on purpose."""
        first = os.getpid() == self._writer.pid
        if first and not self._watched and len(_forks()) > self._forks:
            self._program()  # a child may create later, and then needs to find the end
        with self._lock:
            self._end = how, well
            number = self._programs.get(os.getpid())
            self.record.end_program(number, how, well=well, block=self._block if first else None)

    def _program(self) -> int | None:
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

    ``process`` is the command; it is set before its first create.
    """

    process: Process

    def __init__(self, record: Record, name: str) -> None:
        self._journal = Journal(record, "run", lambda: self.process, watched=True)
        self._name = name or None
        self._intents: dict[Created, int | None] = {}

    def note(self, batch: "Created") -> None:
        """Note a batch before its create is sent whole, and again once it is known what came of the create."""
        where, requests = origin(batch.base_url), batch.requests or None
        lost = batch.sent and not batch.answered
        # The record may have been locked, and more is known by now.
        if batch not in self._intents and not (batch.message_batch_id or (batch.over and not lost)):
            self._intents[batch] = self._journal.intend(where, requests, batch.sha256)
        intent = self._intents.get(batch)
        if batch.message_batch_id:
            known = KnownBatch(batch.message_batch_id, where, None, batch.workspace, self._name, requests)
            self._journal.created(known, intent)
        elif batch.over:
            self._journal.failed(intent, lost=lost)

    def note_stopped(self, batches: "Iterable[Created]", ended: Collection[str] = ()) -> None:
        """Note which of these batches have ended, also those with these ids, and which the command has canceled."""
        stopped: dict[tuple[str, bool], list[str]] = defaultdict(list)
        for batch in batches:
            if (over := batch.status == "ended" or batch.message_batch_id in ended) or batch.status == "canceling":
                stopped[origin(batch.base_url), over].append(batch.message_batch_id)
        record = self._journal.record
        for (where, over), ids in stopped.items():
            (record.note_ended if over else record.note_canceling)(where, ids)

    def note_kept(self, batches: "Iterable[Created]") -> None:
        """Note the batches that the command meant to leave running, although it was interrupted before."""
        for batch in batches:
            self._journal.record.keep(origin(batch.base_url), [batch.message_batch_id])

    def kept(self, batches: "Iterable[Created]") -> set[str]:
        """Return which of these batches a guard in the command keeps: they are left running, however it ends."""
        ids: dict[str, list[str]] = defaultdict(list)
        for batch in batches:
            ids[origin(batch.base_url)].append(batch.message_batch_id)
        return {name for where, some in ids.items() for name in self._journal.record.kept(where, some)}

    def note_not_canceled(self, batches: "Iterable[Created]") -> None:
        """Note the batches whose cancel was not confirmed: the command left them behind, not a guard block in it."""
        for batch in batches:
            self._journal.left(origin(batch.base_url), batch.message_batch_id)

    def end(self, how: str, interrupted: str, *, well: bool) -> None:
        """Note how the command ended, after which signal, and whether it left what still runs on purpose."""
        after = f" after {interrupted}" if interrupted not in {"", how} else ""
        self._journal.end(how + after, well=well)
