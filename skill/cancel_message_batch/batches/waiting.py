"""Waiting until batches have really stopped. Nothing is kept: it can be stopped and started again."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from cancel_message_batch import summary
from cancel_message_batch.api.client import MAX_RETRIES, TIMEOUT, MessageBatches, Model, Steps
from cancel_message_batch.api.errors import APIConnectionError, APIResponseError, APIStatusError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.tools import ToolOutcome

from .many import listing

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
LONGEST_ASKED = 3600.0  # the API may ask for more than the 60 s, but a nonsense answer must not end the waiting
SHORTEST_LOOK = 1.0  # seconds that a look gets at least, also when the time is up
_ONE_BY_ONE = 5  # more batches than these are read from listings, which cost one request for a thousand
_GIVE_UP = 3  # looks in a row that something answers which is not the API


class _Looking(MessageBatches):
    """A client whose calls end with the time there is for them."""

    until = 0.0

    def _run(self, steps: Steps[Model]) -> Model:
        self._timeout = min(self.until - time.monotonic(), TIMEOUT)
        return super()._run(steps)


class Wait:
    """Asks again and again until every batch has ended.

    Args:
        batches: The client whose connection is used.
        message_batch_ids: Which batches.
        timeout: Seconds after which to give up, or None. With 0 it looks once.
        max_retries: How often a request is sent again within one look.
        pause: Waits some seconds; replaced where something is to be shown meanwhile.

    ``latest`` holds what is known of each batch, ``failed`` those that cannot be waited for (unknown, no
    permission), and ``trouble`` what went wrong last, while it may pass.
    """

    def __init__(
        self,
        batches: MessageBatches,
        message_batch_ids: Sequence[str],
        *,
        timeout: float | None = None,
        max_retries: int = MAX_RETRIES,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._batches = _Looking(connection=batches.connection, max_retries=max_retries)
        self._ids = list(message_batch_ids)
        self._deadline = float("inf") if timeout is None else time.monotonic() + timeout
        self._pause = pause
        self._strange: Counter[str] = Counter()
        self.latest: dict[str, MessageBatch] = {}
        self.failed: dict[str, ToolOutcome] = {}
        self.trouble = ""

    @property
    def open(self) -> list[str]:
        """The batches that have not ended, as far as is known."""
        return [name for name in self._ids if name not in self.failed and not self._ended(name)]

    def run(self, changed: Callable[[], None]) -> bool:
        """Wait; returns False when the time was up first. ``changed`` is called after each look."""
        pause = FIRST_PAUSE
        with self._batches:
            while True:
                asked_to_wait = self._look()
                changed()
                if not self.open:
                    return True
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return False
                self._pause(min(max(pause, asked_to_wait), LONGEST_ASKED, left))
                pause = min(pause * 1.5, LONGEST_PAUSE)

    def _ended(self, name: str) -> bool:
        return name in self.latest and self.latest[name].ended

    def _look(self) -> float:
        """Ask for the batches that are open; returns the seconds that the API asked to wait."""
        self.trouble = ""
        asked_to_wait = 0.0
        end = max(self._deadline, time.monotonic() + SHORTEST_LOOK)
        missing = self.open
        if len(missing) > _ONE_BY_ONE:
            self._batches.until = end
            try:
                missing = self._listed(missing)
            except MessageBatchError as error:
                return self._note(error, "list", missing)
        for number, name in enumerate(missing):
            # One that does not answer must leave time for the others.
            left = end - time.monotonic()
            if left <= 0:
                break
            self._batches.until = time.monotonic() + max(left / (len(missing) - number), min(left, SHORTEST_LOOK))
            try:
                self._see(name, self._batches.retrieve(name))
            except MessageBatchError as error:
                asked_to_wait = max(asked_to_wait, self._note(error, "get", [name]))
        return asked_to_wait

    def _listed(self, names: Sequence[str]) -> list[str]:
        """Look for the batches in the listing; returns those that are not there."""
        missing = dict.fromkeys(names)
        for batch in listing(self._batches):
            if batch.id in missing:
                del missing[batch.id]
                self._see(batch.id, batch)
            if not missing:
                break
        return list(missing)

    def _see(self, name: str, batch: MessageBatch) -> None:
        self.latest[name] = batch
        self._strange.pop(name, None)

    def _note(self, error: MessageBatchError, action: summary.Action, names: Sequence[str]) -> float:
        """Remember what went wrong; returns the seconds that the API asked to wait."""
        for name in names:
            self._strange[name] = self._strange[name] + 1 if isinstance(error, APIResponseError) else 0
            if not _may_pass(error) or self._strange[name] >= _GIVE_UP:
                self.failed[name] = ToolOutcome(summary.failed(error, action, name), is_error=True, error=error)
            else:
                self.trouble = str(error)
        return (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0


def _may_pass(error: MessageBatchError) -> bool:
    if isinstance(error, APIStatusError):
        return error.status in {408, 409, 429} or error.status >= 500
    return isinstance(error, APIConnectionError | APIResponseError)
