"""The cancels that go through one door, such as a tool, for the record: written when their outcomes are known."""

import functools
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from cancel_message_batch.api.models import Context

from .names import record_path

if TYPE_CHECKING:  # it loads SQLite
    from .store import Record

INTERRUPTED = "interrupted before the response came"


class _Sent(NamedTuple):
    answer: str
    context: Context | None
    consent: str | None
    words: str | None


class CancelNotes:
    """Collects cancels that were sent, and writes them to the record in one transaction when its block ends.

    A record that cannot be used costs a warning, and raises nothing.

    Args:
        through: The door: "function", "tool", "MCP server", "ask", "chat", "command line", …
        consent: How the person agreed, such as "yes", unless the cancel itself says how.
        words: What the person said, unless the cancel itself says so.
        warn: Called with the warning. By default it goes to the logger ``cancel_message_batch.record``, once.
    """

    def __init__(
        self,
        through: str,
        *,
        consent: str | None = None,
        words: str | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._through, self._consent, self._words = through, consent, words
        self._warn = warn or _warn_once
        self._sent: dict[str, _Sent] = {}

    def add(
        self,
        message_batch_id: str,
        answer: str = INTERRUPTED,
        context: Context | None = None,
        *,
        consent: str | None = None,
        words: str | None = None,
    ) -> None:
        """Add a cancel that was sent, or may have been; ``context`` is that of the batch, if one was returned."""
        self._sent[message_batch_id] = _Sent(answer, context, consent or self._consent, words or self._words)

    def discard(self, ids: Iterable[str]) -> None:
        """Drop cancels that turned out not to have been sent."""
        for name in ids:
            self._sent.pop(name, None)

    def write(self, record: "Record | None" = None) -> None:
        """Write what was added since the last time, into an open record if there is one."""
        sent, self._sent = self._sent, {}
        if not sent or record_path() is None:
            return
        try:
            from .store import Action, open_record  # only now: it loads SQLite
        except ImportError as error:  # some builds of Python are without it
            self._warn(f"This is not recorded: {error}.")
            return
        (record or open_record(self._warn)).add_action(
            *(
                Action(
                    name,
                    self._through,
                    "cancel",
                    one.consent,
                    one.words,
                    one.answer,
                    one.context.origin if one.context else None,
                    one.context.workspace if one.context else None,
                )
                for name, one in sent.items()
            )
        )

    def __enter__(self) -> "CancelNotes":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.write()

    async def __aenter__(self) -> "CancelNotes":
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Write in a thread, because the record may be locked; a cancellation of the task does not prevent it."""
        if self._sent:
            import anyio.to_thread  # sync callers need none of it

            # All of the default limiter may belong to callers that wait for this, in `anyio.from_thread.run`.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.write, limiter=anyio.CapacityLimiter(1))


@functools.cache
def _warn_once(text: str) -> None:
    import logging

    logging.getLogger("cancel_message_batch.record").warning("%s", text)
