"""Waiting until batches have really stopped. Nothing is kept: it can be stopped and started again."""

import time
from collections.abc import Callable, Sequence

from . import summary
from .bulk import listing
from .client import MessageBatches
from .errors import APIConnectionError, APIResponseError, APIStatusError, MessageBatchError
from .models import MessageBatch
from .tools import ToolOutcome

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
_ONE_BY_ONE = 5  # more batches than these are read from listings, which cost one request for a thousand


class Wait:
    """Asks again and again until every batch has ended.

    Args:
        batches: The client.
        message_batch_ids: Which batches.
        timeout: Seconds after which to give up, or None.
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
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._batches = batches
        self._ids = list(message_batch_ids)
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = pause
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
        while True:
            asked_to_wait = self._look()
            changed()
            if not self.open:
                return True
            wait = max(pause, asked_to_wait)
            if self._deadline is not None:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return False
                wait = min(wait, left)
            self._pause(wait)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _ended(self, name: str) -> bool:
        return name in self.latest and self.latest[name].ended

    def _look(self) -> float:
        """Ask for the batches that are open; returns the seconds that the API asked to wait."""
        self.trouble = ""
        missing = set(self.open)
        try:
            if len(missing) > _ONE_BY_ONE:
                for batch in listing(self._batches):
                    if batch.id in missing:
                        missing.discard(batch.id)
                        self.latest[batch.id] = batch
                    if not missing:
                        break
        except MessageBatchError as error:
            return self._note(error)
        for name in [name for name in self.open if name in missing]:
            try:
                self.latest[name] = self._batches.retrieve(name)
            except MessageBatchError as error:
                if not _may_pass(error):
                    self.failed[name] = ToolOutcome(summary.failed(error, "get", name), is_error=True, error=error)
                    continue
                return self._note(error)
        return 0.0

    def _note(self, error: MessageBatchError) -> float:
        if not _may_pass(error):
            raise error
        self.trouble = str(error)
        return (error.retry_after if isinstance(error, APIStatusError) else None) or 0.0


def _may_pass(error: MessageBatchError) -> bool:
    if isinstance(error, APIStatusError):
        return error.status in {408, 409, 429} or error.status >= 500
    return isinstance(error, APIConnectionError | APIResponseError)
