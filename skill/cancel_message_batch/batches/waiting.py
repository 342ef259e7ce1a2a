"""Waiting until batches have really stopped. Nothing is kept: it can be stopped and started again."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cancel_message_batch.api.client import MessageBatches, within
from cancel_message_batch.api.errors import APIResponseError, APIStatusError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.retries import may_pass

from .selection import listing

FIRST_LOOK_PAUSE = 1.0  # seconds
LONGEST_LOOK_PAUSE = 60.0
LONGEST_ASKED_PAUSE = 3600.0  # the API may ask for more than 60 s, but a nonsense answer must not end the waiting
SHORTEST_LOOK = 1.0  # seconds that a look gets at least, also when the time is up
_ONE_BY_ONE = 5  # more batches than these are read from listings, which cost one request for a thousand
_GIVE_UP = 3  # looks in a row that something other than the API answers


@dataclass(frozen=True)
class WaitState:
    """What is known after one look at the batches."""

    batches: dict[str, MessageBatch] = field(default_factory=dict)
    failed: dict[str, MessageBatchError] = field(default_factory=dict)  # cannot be waited for: unknown, no permission
    pending: tuple[str, ...] = ()
    trouble: MessageBatchError | None = None  # in this look, and may pass


def wait(
    batches: MessageBatches, message_batch_ids: Sequence[str], *, timeout: float | None = None
) -> Iterator[WaitState]:
    """Look at the batches again and again until each has ended, and yield what is known after each look.

    When the last state has pending batches, the time was up.
    """
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    looks = _Looks(batches, message_batch_ids)
    pause = FIRST_LOOK_PAUSE
    while True:
        asked_pause = looks.look(max(deadline, time.monotonic() + SHORTEST_LOOK))
        yield looks.state
        left = deadline - time.monotonic()
        if not looks.pending or left <= 0:
            return
        time.sleep(min(max(pause, asked_pause), LONGEST_ASKED_PAUSE, left))
        pause = min(pause * 1.5, LONGEST_LOOK_PAUSE)


class _Looks:
    """Looks at the batches that are pending, and gathers what becomes known."""

    def __init__(self, batches: MessageBatches, message_batch_ids: Sequence[str]) -> None:
        self._batches = batches
        self._seen: dict[str, MessageBatch] = {}
        self._failed: dict[str, MessageBatchError] = {}
        self._trouble: MessageBatchError | None = None
        self._foreign: Counter[str] = Counter()  # how often in a row something other than the API answered
        self.pending = tuple(message_batch_ids)

    @property
    def state(self) -> WaitState:
        return WaitState(dict(self._seen), dict(self._failed), self.pending, self._trouble)

    def look(self, end: float) -> float:
        """Look at the pending batches until ``end``; return the seconds that the API asked to wait."""
        self._trouble, asked_pause = None, 0.0
        missing = list(self.pending)
        if len(missing) > _ONE_BY_ONE:
            try:
                missing = self._listed(missing, end)
            except MessageBatchError as error:
                asked_pause, missing = self._note(error, missing), []
        for number, name in enumerate(missing):
            left = end - time.monotonic()
            if left <= 0:
                break
            # One batch that is not answered for must leave time for the others.
            share = max(left / (len(missing) - number), min(left, SHORTEST_LOOK))
            try:
                self._see(name, within(self._batches, share).retrieve(name))
            except MessageBatchError as error:
                asked_pause = max(asked_pause, self._note(error, [name]))
        over = self._failed.keys() | {name for name, batch in self._seen.items() if batch.ended}
        self.pending = tuple(name for name in self.pending if name not in over)
        return asked_pause

    def _listed(self, names: Sequence[str], end: float) -> list[str]:
        """Look for batches in the listing; return those that are not there."""
        missing = dict.fromkeys(names)
        for batch in listing(within(self._batches, end - time.monotonic())):
            if batch.id in missing:
                del missing[batch.id]
                self._see(batch.id, batch)
            if not missing:
                break
        return list(missing)

    def _see(self, name: str, batch: MessageBatch) -> None:
        self._seen[name] = batch
        del self._foreign[name]

    def _note(self, error: MessageBatchError, names: Sequence[str]) -> float:
        """Note what went wrong; return the seconds that the API asked to wait."""
        foreign = isinstance(error, APIResponseError)
        for name in names:
            self._foreign[name] = self._foreign[name] + 1 if foreign else 0
            if not (foreign or may_pass(error)) or self._foreign[name] >= _GIVE_UP:
                self._failed[name] = error
            else:
                self._trouble = error
        return (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0
