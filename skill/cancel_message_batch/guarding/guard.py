"""A guard for programs that die: if a program fails, the batches that it created are canceled."""

import math
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, overload

from cancel_message_batch.api.errors import InvalidInputError
from cancel_message_batch.api.retries import check_seconds
from cancel_message_batch.record.names import clean_name

from .block import AsyncBlock, SyncBlock, When

if TYPE_CHECKING:  # importing the guard does not import the SDK
    from anthropic import Anthropic, AsyncAnthropic
    from anthropic.resources.beta.messages import AsyncBatches as AsyncBetaBatches
    from anthropic.resources.beta.messages import Batches as BetaBatches
    from anthropic.resources.messages import AsyncBatches, Batches

    class _Keeps:
        def keep(self, message_batch_id: str) -> None: ...

    class _GuardedBatches(Batches, _Keeps): ...

    class _GuardedBetaBatches(BetaBatches, _Keeps): ...

    class _AsyncGuardedBatches(AsyncBatches, _Keeps): ...

    class _AsyncGuardedBetaBatches(AsyncBetaBatches, _Keeps): ...


DEADLINE = 10.0  # seconds


@overload
def guard(
    client: "Anthropic | Batches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractContextManager["_GuardedBatches", None]: ...
@overload
def guard(
    client: "BetaBatches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractContextManager["_GuardedBetaBatches", None]: ...
@overload
def guard(
    client: "AsyncAnthropic | AsyncBatches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractAsyncContextManager["_AsyncGuardedBatches", None]: ...
@overload
def guard(
    client: "AsyncBetaBatches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractAsyncContextManager["_AsyncGuardedBetaBatches", None]: ...
def guard(client: Any, *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE) -> Any:
    """Cancel the batches that a block of code created, if the block fails before they have ended.

    In ``with guard(anthropic.Anthropic()) as batches:``, ``batches`` behaves like ``client.messages.batches``. If an
    exception, Ctrl-C, SIGTERM or SIGHUP ends the block, the batches created through it that have not ended are
    canceled. The outcome goes to the logger ``cancel_message_batch.guard`` and into a note on the exception, which then
    propagates. ``async with guard(anthropic.AsyncAnthropic()) as batches:`` does the same. No other batch is touched.
    ``sys.exit(0)`` is a normal end, which cancels nothing.

    A guard inside a generator sees only what happens inside the generator. An exception in the loop over it looks like
    a ``break``: nothing is canceled, and a warning names the batches. Put the guard around the loop.

    A cancel that fails for the network, a rate limit or a server error is tried again until the deadline, and a warning
    says why. Ctrl-C ends this; then an error says what is left, and the command that cancels it.

    ``batches.keep(batch.id)`` leaves a batch running, however the block ends, also under ``cancel-message-batch run``:
    it is told, and a warning says so if that fails. For code that takes a client, write ``client.messages.batches =
    batches`` in the block; the end of the block undoes it.

    Each ``create`` is noted in this machine's record before it is sent, and each batch before ``create`` returns. When
    the process is killed (SIGKILL, ``os._exit``, a power cut), nothing is canceled; ``cancel-message-batch list
    --orphaned`` then shows the batch. A batch that a forked child creates through its parent's guard is shown there too
    if the parent's block fails, or both are killed, and is not canceled: give the child a guard of its own.

    If a ``create`` gets no response, the batch may exist: the log and the exception say so. By default the SDK retries
    such a ``create``, and the id of a first batch is never known. ``anthropic.Anthropic(max_retries=0)`` prevents that.

    SIGTERM and SIGHUP are handled if the guard is entered in the main thread, outside of trio, and the program does not
    handle or ignore them itself. They raise ``SystemExit`` in the block, or cancel the asyncio task of the guard. After
    the cancels, the signal ends the process, so its parent sees the same as without a guard; also if the block swallows
    what was raised in it. Windows has neither.

    Args:
        client: ``anthropic.Anthropic()`` or ``anthropic.AsyncAnthropic()``; or a resource of it, such as
            ``client.beta.messages.batches``.
        name: A name for its batches on this machine, which ``cancel-message-batch list`` shows.
        cancel: ``"always"`` also cancels when the block ends without an exception.
        deadline: Seconds that leaving the block may take.

    Raises:
        InvalidInputError: The name or another option has a wrong value.
        TypeError: The client is not one of the SDK's.
    """
    batches: Any = client if hasattr(client, "cancel") else getattr(getattr(client, "messages", None), "batches", None)
    if not hasattr(batches, "with_raw_response"):
        given = type(client).__name__
        raise TypeError(f"guard takes anthropic.Anthropic() or AsyncAnthropic(), or its messages.batches; not {given}")
    if cancel not in {"on_error", "always"}:
        raise InvalidInputError(f'cancel is {cancel!r}; it must be "on_error" or "always"')
    check_seconds("deadline", deadline)
    if deadline == math.inf:
        raise InvalidInputError("deadline has no end; it must be a number of seconds")
    kind = AsyncBlock if hasattr(batches._client, "__aenter__") else SyncBlock  # noqa: SLF001 - the SDK's client
    return kind(batches, clean_name(name), cancel, deadline)
