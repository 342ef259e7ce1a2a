"""Waiting until batches have stopped. Nothing is stored: it can be interrupted and started again."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from cancel_message_batch.api.client import MessageBatches, within
from cancel_message_batch.api.errors import APIResponseError, APIStatusError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.retries import may_pass
from cancel_message_batch.record.names import known_here

from .listing import among_newest

FIRST_PAUSE = 1.0  # seconds between looks
LONGEST_PAUSE = 60.0
LONGEST_RETRY_AFTER = 3600.0  # seconds; the API may ask for more than 60, but nonsense must not end the waiting
SHORTEST_LOOK = 1.0  # seconds that a look gets at least, also when the time is up
_ONE_BY_ONE = 5  # more batches than these are read from listings, which cost one request for a thousand
_GIVE_UP = 3  # looks in a row that something other than the API answers


class Wait:
    """Batches that are waited for, and what is known of each; if they were ``seen`` already, without a first look.

    ``found`` holds the batches that were seen, ``failed`` why others cannot be waited for (unknown, no permission), and
    ``trouble`` an error of the last look that may pass.
    """

    def __init__(
        self, batches: MessageBatches, message_batch_ids: Sequence[str], seen: Sequence[MessageBatch] = ()
    ) -> None:
        self.found = {batch.id: batch for batch in seen}
        self.failed: dict[str, MessageBatchError] = {}
        self.trouble: MessageBatchError | None = None
        self._ids = message_batch_ids
        self._batches = batches
        self._not_the_api: Counter[str] = Counter()  # looks in a row that something else answered
        self._retry_after = 0.0  # seconds that the API asked for in the last look

    @property
    def pending(self) -> list[str]:
        """The ids of the batches that have not ended, as far as is known."""
        ended = {name for name, batch in self.found.copy().items() if batch.ended}  # a thread may be reading
        return [name for name in self._ids if name not in ended and name not in self.failed]

    def looks(self, timeout: float | None = None) -> Iterator[None]:
        """Look at the batches until each has ended; yields after each look.

        Batches that are still pending after the last look had not ended when the time was up.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        pause = FIRST_PAUSE
        if not self.found:
            self._look(deadline)
        yield
        while self.pending and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(max(pause, self._retry_after), LONGEST_RETRY_AFTER, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
            self._look(deadline)
            yield

    def _look(self, deadline: float) -> None:
        self.trouble, self._retry_after = None, 0.0
        end = max(deadline, time.monotonic() + SHORTEST_LOOK)
        missing = self.pending
        if len(missing) > _ONE_BY_ONE:
            try:
                missing = self._not_listed(missing, end)
            except MessageBatchError as error:
                self._note(error, missing)
                missing = []
        for number, name in enumerate(missing):
            left = end - time.monotonic()
            if left <= 0:
                break
            # A batch without a response must leave time for the others.
            share = max(left / (len(missing) - number), min(left, SHORTEST_LOOK))
            try:
                [self.found[name]] = known_here([within(self._batches, share).retrieve(name)])
                del self._not_the_api[name]
            except MessageBatchError as error:
                self._note(error, (name,))

    def _not_listed(self, names: Sequence[str], end: float) -> list[str]:
        """Look for batches in the listing; return those that are not there."""
        missing = dict.fromkeys(names)
        for batch in among_newest(within(self._batches, end - time.monotonic()), names, at_least=1):
            self.found[batch.id] = batch
            del missing[batch.id], self._not_the_api[batch.id]
        return list(missing)

    def _note(self, error: MessageBatchError, names: Sequence[str]) -> None:
        elsewhere = isinstance(error, APIResponseError)
        for name in names:
            self._not_the_api[name] = self._not_the_api[name] + 1 if elsewhere else 0
            if not (elsewhere or may_pass(error)) or self._not_the_api[name] >= _GIVE_UP:
                self.failed[name] = error
            else:
                self.trouble = error
        if isinstance(error, APIStatusError):
            self._retry_after = max(self._retry_after, error.retry_after or 0.0)
