"""A guard for programs that die: if a program fails, the batches that it created are canceled.

The guard returns the SDK's own resource with a ``create`` that is watched. Each cancel is sent with the caller's own
client: by a sync guard in threads, which it abandons at its deadline, by an async one in tasks of the caller's loop.
"""

import asyncio
import contextlib
import functools
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

import anyio

from cancel_message_batch.api.calls import awaited, finish
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import InvalidInputError, from_client, from_sdk
from cancel_message_batch.record.names import clean_name
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import Action, KnownBatch, open_record
from cancel_message_batch.tools import CANCEL, MessageBatchIdInput, ToolOutcome, sorted_outcomes
from cancel_message_batch.words import programs

from .signals import Signals, current_task

if TYPE_CHECKING:  # importing the guard does not import the SDK
    from anthropic import Anthropic, AsyncAnthropic
    from anthropic.resources.beta.messages import AsyncBatches as AsyncBetaBatches
    from anthropic.resources.beta.messages import Batches as BetaBatches
    from anthropic.resources.messages import AsyncBatches, Batches

logger = logging.getLogger("cancel_message_batch.guard")

When = Literal["on_error", "always"]
DEADLINE = 10.0  # seconds

_RAW = "x-stainless-raw-response"  # how the SDK's with_raw_response and with_streaming_response mark a call
_OUTCOMES = "guard_outcomes"  # the attribute by which a guard inside another one shares what its cancels came to
_AT_ONCE = 32  # cancels
_FOR_RECORD = 0.1  # of the deadline is left for writing to the record
_PAUSE = 0.02  # seconds between two looks for the answer to a create that is under way

_signals = Signals()


@overload
def guard(
    client: "Anthropic | Batches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractContextManager["Batches", None]: ...
@overload
def guard(
    client: "BetaBatches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractContextManager["BetaBatches", None]: ...
@overload
def guard(
    client: "AsyncAnthropic | AsyncBatches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractAsyncContextManager["AsyncBatches", None]: ...
@overload
def guard(
    client: "AsyncBetaBatches", *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE
) -> AbstractAsyncContextManager["AsyncBetaBatches", None]: ...
def guard(client: Any, *, name: str = "", cancel: When = "on_error", deadline: float = DEADLINE) -> Any:
    """Cancel the batches that a block of code created, if the block fails before they have ended.

    In ``with guard(anthropic.Anthropic()) as batches:``, ``batches`` behaves like ``client.messages.batches``. If an
    exception, Ctrl-C, ``SystemExit`` or SIGTERM ends the block, the batches created through it that have not ended are
    canceled. The outcome goes to the logger ``cancel_message_batch.guard`` and into a note on the exception, which then
    propagates. ``async with guard(anthropic.AsyncAnthropic()) as batches:`` does the same. No other batch is touched.

    Each batch is noted in this machine's record before ``create`` returns. When the process is killed (SIGKILL,
    ``os._exit``, a power cut), nothing is canceled; ``cancel-message-batch list --orphaned`` then shows the batch.

    If a ``create`` gets no response, the batch may exist: the log and the exception say so. By default the SDK retries
    such a ``create``, and the id of a first batch is never known. ``anthropic.Anthropic(max_retries=0)`` prevents that.

    SIGTERM is handled if the guard is entered in the main thread and the program does not handle SIGTERM itself. It
    raises ``SystemExit(143)`` in the block, or cancels the asyncio task of the guard. After the cancels, SIGTERM ends
    the process, so its parent sees the same as without a guard. Windows has no SIGTERM.

    Args:
        client: ``anthropic.Anthropic()`` or ``anthropic.AsyncAnthropic()``; or a resource of it, such as
            ``client.beta.messages.batches``.
        name: A name for its batches on this machine, which ``cancel-message-batch list`` shows.
        cancel: ``"always"`` also cancels when the block ends without an exception.
        deadline: Seconds that leaving the block may take. Ctrl-C is ignored during that time.

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
    if not 0 < deadline < math.inf:
        raise InvalidInputError(f"deadline is {deadline!r}; it must be a number of seconds above 0")
    kind = _AsyncGuard if hasattr(batches._client, "__aenter__") else _SyncGuard  # noqa: SLF001 - the SDK's client
    return kind(batches, clean_name(name), cancel, deadline)


class Guard:
    """What sync and async guards share. For the cancel tool it is a client whose calls end by the deadline."""

    is_async: bool

    def __init__(self, batches: Any, name: str, cancel: When, deadline: float) -> None:
        self.task: asyncio.Task[Any] | None = None  # that entered it
        self._sleep: Callable[[float], Any] = anyio.sleep if self.is_async else time.sleep
        self._batches = batches
        self._client = batches._client  # noqa: SLF001 - its requests go through it
        self._origin = origin(str(self._client.base_url))
        self._name, self._always, self._deadline = name, cancel == "always", deadline
        self._record = open_record(logger.warning)
        self._lock = threading.Lock()
        self._open = False

    def _enter(self, create: Callable[..., Any]) -> Any:
        """Open the guard; return the SDK's resource with this ``create``, which is watched."""
        if self._open:
            raise RuntimeError("this guard is already in use; create a new one")
        self._end = math.inf  # by time.monotonic
        self._stopping = self._reported = False
        self._creating: dict[object, tuple[datetime, int]] = {}
        self._created: dict[str, KnownBatch] = {}
        self._options: dict[str, dict[str, Any]] = {}  # of a batch's cancel
        self._waiting: deque[str] = deque()  # to be canceled
        self._sent: set[str] = set()
        self._outcomes: dict[str, ToolOutcome] = getattr(self._batches, _OUTCOMES, {})
        self._why = ""
        self.task = current_task()
        _signals.enter(self)
        self._open = True
        kind = type(self._batches)
        create = functools.wraps(kind.create)(create)
        members = {"create": create, _OUTCOMES: self._outcomes, "__module__": kind.__module__}
        return type(kind.__name__, (kind,), members)(self._client)

    async def _create(self, options: dict[str, Any]) -> Any:
        """Create a batch, and note it before the caller learns its id."""
        if not self._open:
            raise RuntimeError("the guarded block has ended, so nothing was sent; create batches inside it")
        if "requests" in options and not isinstance(options["requests"], list | tuple):
            options["requests"] = list(options["requests"])  # it may be a generator
        size = len(options.get("requests", ()))
        wrapped = any(header.lower() == _RAW for header in options.get("extra_headers") or ())
        creation, began, response, message_batch_id = object(), datetime.now(UTC), None, None
        self._creating[creation] = (began, size)
        try:
            response = await awaited((self._batches if wrapped else self._batches.with_raw_response).create(**options))
            batch = await awaited(response.parse())
            message_batch_id = getattr(batch, "id", None)
            if isinstance(message_batch_id, str) and message_batch_id:
                self._note(message_batch_id, size, options, response.headers.get("anthropic-workspace-id"))
            else:  # something else than the API has answered
                _log(logging.ERROR, programs.creation_lost(began, size), None)
            return response if wrapped else batch
        except BaseException as error:
            known = from_sdk(error) or from_client(error)
            # Any other Exception, such as a TypeError, came before anything was sent.
            arrived = known.may_have_arrived if known else response is not None or not isinstance(error, Exception)
            if arrived and message_batch_id is None:
                _log(logging.ERROR, programs.creation_lost(began, size), error)
            raise
        finally:
            del self._creating[creation]

    def _note(self, message_batch_id: str, size: int, options: Mapping[str, Any], workspace: str | None) -> None:
        process = Process.current()
        known = KnownBatch(message_batch_id, self._origin, process, workspace, self._name or None, size)
        kept = {key: options[key] for key in ("workspace_id", "extra_query") if key in options}
        headers = options.get("extra_headers") or {}
        # These may say who the caller is, and in which workspace. An idempotency key belongs to one request.
        kept["extra_headers"] = {k: v for k, v in headers.items() if k.lower() not in {_RAW, "idempotency-key"}}
        with self._lock:
            self._created[message_batch_id], self._options[message_batch_id] = known, kept
            if self._stopping:  # another thread or task is just leaving the guard
                self._waiting.append(message_batch_id)
            late = self._reported
        # In this thread: a coroutine that waits can be canceled, and then the batch would not be in the record.
        self._record.add_creation(known, "guard")
        if late:
            self._report([message_batch_id], None)

    def _stop(self, error: BaseException | None) -> bool:
        """Close the guard; return whether there is something to cancel, or to report."""
        with self._lock:
            self._open = False
            self._stopping = error is not None or self._always
            self._end = time.monotonic() + self._deadline * (1 - _FOR_RECORD)
            self._why = _signals.reason(error)
            if self._stopping:
                self._waiting.extend(self._uncanceled())
        return self._stopping and bool(self._own() or self._creating)

    def _own(self) -> list[str]:
        """Return what this process created. A forked child does not cancel what its parent created."""
        return [name for name, known in self._created.items() if known.process and known.process.pid == os.getpid()]

    def _uncanceled(self) -> list[str]:
        """Return the batches for which no cancel, by this guard or one inside it, had an answer."""
        return [name for name in self._own() if name not in self._outcomes or self._outcomes[name].is_error]

    def _time_left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)

    def _busy(self) -> bool:
        return bool(self._waiting or self._creating) and self._time_left() > 0

    def _workers(self) -> int:
        return min(len(self._waiting) + len(self._creating), _AT_ONCE)

    async def _work(self) -> None:
        """Cancel what is waiting, one batch after the other. Several of these run side by side."""
        while self._busy():
            try:
                message_batch_id = self._waiting.popleft()
            except IndexError:  # until a create that is under way has been answered
                await awaited(self._sleep(_PAUSE))
                continue
            given = MessageBatchIdInput.model_construct(message_batch_id=message_batch_id)
            self._outcomes[message_batch_id] = await CANCEL.handler(given, self)

    def cancel(self, message_batch_id: str) -> Any:
        """Cancel a batch, with the caller's own retries. The cancel tool calls this."""
        self._sent.add(message_batch_id)
        return self._batches.cancel(message_batch_id, **self._request(message_batch_id))

    def retrieve(self, message_batch_id: str) -> Any:
        """Look at a batch. The cancel tool calls this after a refusal: the batch may have ended."""
        return self._batches.retrieve(message_batch_id, **self._request(message_batch_id))

    def _request(self, message_batch_id: str) -> dict[str, Any]:
        return {"timeout": self._time_left() or 0.001, **self._options[message_batch_id]}

    def _report_all(self, error: BaseException | None) -> None:
        """Report what became of everything that was created here, and note it in the record."""
        with self._lock:
            self._reported = True
            own = self._own()
        for began, size in list(self._creating.values()):
            _log(logging.ERROR, programs.creation_lost(began, size), error)
        if own:
            self._report(own, error)
            # The record may be locked: it is not waited for longer than the deadline.
            for thread in _started(lambda: self._note_cancels(own), 1):
                thread.join(self._deadline * _FOR_RECORD)

    def _report(self, ids: Iterable[str], error: BaseException | None) -> None:
        canceling, ended, failed = sorted_outcomes(ids, self._outcomes, self._sent)
        level = logging.ERROR if failed else logging.WARNING if canceling else logging.INFO
        _log(level, programs.guard_left(self._name, self._why, canceling, ended, failed), error)

    def _note_cancels(self, ids: Iterable[str]) -> None:
        outcomes = {name: self._outcomes[name] for name in ids if name in self._outcomes}
        self._record.add_action(
            *(
                Action(
                    name, "guard", "cancel", None, self._why, one.answer, self._origin, self._created[name].workspace
                )
                for name, one in outcomes.items()
                if name in self._sent
            )
        )
        ended = [name for name, one in outcomes.items() if one.batch and one.batch.ended]
        self._record.note_ended(self._origin, ended)


class _SyncGuard(Guard):
    is_async = False

    def __enter__(self) -> Any:
        def create(_batches: Any, **options: Any) -> Any:
            return finish(self._create(options))

        return self._enter(create)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        busy = self._stop(error)
        with _signals.leaving(self, error, busy=busy):
            if busy:
                for thread in _started(lambda: finish(self._work()), self._workers()):
                    thread.join(self._time_left())
                self._report_all(error)


class _AsyncGuard(Guard):
    is_async = True

    async def __aenter__(self) -> Any:
        async def create(_batches: Any, **options: Any) -> Any:
            return await self._create(options)

        return self._enter(create)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        busy, canceled = self._stop(error), None
        with _signals.leaving(self, error, busy=busy):
            if busy:
                if not isinstance(error, GeneratorExit):  # a coroutine that is thrown away cannot wait
                    canceled = await self._cancel_all()
                self._report_all(error)
        if canceled is not None and not isinstance(error, asyncio.CancelledError):
            raise canceled

    async def _cancel_all(self) -> BaseException | None:
        """Cancel side by side until the deadline; return a cancellation of the task that came meanwhile."""
        again: BaseException | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + self._time_left(), shield=True) as scope:
            while self._busy():
                try:
                    async with anyio.create_task_group() as tasks:
                        for _ in range(self._workers()):
                            tasks.start_soon(self._work)
                except anyio.get_cancelled_exc_class() as canceled:
                    if scope.cancel_called:
                        raise
                    again = canceled  # the shield does not hold off a cancellation by asyncio
                    self._waiting = deque(self._uncanceled())
        return again


def _started(work: Callable[[], object], number: int) -> list[threading.Thread]:
    """Start threads that the program does not wait for when it ends: after a deadline they are left behind."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(number)]
    with contextlib.suppress(RuntimeError):  # while the interpreter ends, none can be started
        for thread in threads:
            thread.start()
    return [thread for thread in threads if thread.ident]


def _log(level: int, text: str, error: BaseException | None) -> None:
    logger.log(level, "%s", text)
    if error is not None:
        with contextlib.suppress(TypeError):  # somebody put something else into its __notes__
            error.add_note(text)
