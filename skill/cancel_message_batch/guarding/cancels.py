"""Cancels through the SDK's own resource, tried again until a deadline.

The SDK's own retries are turned off for them: they would hide that an earlier attempt may have arrived.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from cancel_message_batch.api.calls import awaited
from cancel_message_batch.api.credentials import connection_with
from cancel_message_batch.api.errors import APIStatusError, MessageBatchError, from_client, from_sdk
from cancel_message_batch.api.retries import Attempts, RetryPolicy

from .created import of_the_sender

STEP = 0.05  # seconds between two looks at whether the waiting has ended
_AFTER_CTRL_C = 2.0  # seconds that cancels under way then have for their responses
_SHORTEST = 2.0  # seconds for one attempt: a response may not come, and the next attempt may have one


class Cancels:
    """A client for the cancel tool, over a resource of the SDK, sync or async; sync, its coroutines never wait.

    Attributes:
        options: What each batch's requests are sent with besides its id.
        sent: The batches whose cancel was sent, or may have been.
        end: When to give up, by ``time.monotonic``.
        sleep: Sleeps, as the resource's client does: asynchronously or not.
        ended_by_person: Whether the person has ended the waiting before.
    """

    def __init__(
        self,
        batches: Any,
        options: Mapping[str, Mapping[str, Any]],
        seconds: float,
        sleep: Callable[[float], Any],
        on_pause: Callable[[MessageBatchError, float], None],
    ) -> None:
        client = batches._client  # noqa: SLF001 - the SDK's client
        alike = object.__new__(type(client))  # with the same connections
        vars(alike).update(vars(client), max_retries=0)
        self._batches = type(batches)(alike)
        self.options = options
        self.sent: set[str] = set()
        self.end = time.monotonic() + seconds
        self.ended_by_person = False
        self.sleep = sleep
        self._policy = RetryPolicy(max_retries=sys.maxsize, on_pause=on_pause)

    def time_left(self) -> float:
        """Return the seconds until the deadline, at least 0."""
        return max(self.end - time.monotonic(), 0.0)

    def end_waiting(self) -> None:
        """Start no further attempt; the attempts under way have a moment for their responses."""
        self.ended_by_person = True
        self.end = min(self.end, time.monotonic() + _AFTER_CTRL_C)

    async def cancel(self, message_batch_id: str) -> Any:
        """Cancel a batch. The cancel tool calls this.

        If an attempt may have arrived, a look at the batch may show that it is canceling. The error of the last attempt
        says whether any of them may have arrived.
        """
        self.sent.add(message_batch_id)
        attempts = Attempts(self._policy, self.end)
        while True:
            try:
                return await self._send(self._batches.cancel, message_batch_id)
            except MessageBatchError as raised:
                error = raised
            conflict = isinstance(error, APIStatusError) and error.status_code == 409  # it may have ended
            if (conflict or error.may_have_arrived or attempts.may_have_arrived) and self.time_left():
                with contextlib.suppress(MessageBatchError):
                    batch = await self.retrieve(message_batch_id)
                    if getattr(batch, "processing_status", "") in {"canceling", "ended"}:
                        return batch
            until = time.monotonic() + attempts.pause_after(error)
            while not self.ended_by_person and (pause := until - time.monotonic()) > 0:
                await awaited(self.sleep(min(pause, STEP)))
            if self.ended_by_person:
                raise error

    async def retrieve(self, message_batch_id: str) -> Any:
        """Look at a batch. The cancel tool calls this after a refusal: the batch may have ended."""
        return await self._send(self._batches.retrieve, message_batch_id)

    async def _send(self, operation: Callable[..., Any], message_batch_id: str) -> Any:
        left = self.time_left()
        timeout = max(left / 2, min(left, _SHORTEST), 0.001)
        try:
            return await awaited(operation(message_batch_id, timeout=timeout, **self.options[message_batch_id]))
        except Exception as error:
            request = getattr(error, "request", None)
            headers = of_the_sender(request.headers) if request is not None else {}
            secrets = connection_with("", headers).secrets
            known = from_sdk(error, secrets=secrets) or from_client(error, secrets=secrets)
            if known is None:
                raise
            raise known from error
