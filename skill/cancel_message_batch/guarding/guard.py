"""A guard for programs that die: what a program created is canceled when it fails, and it says so.

The guard gives out the SDK's own resource with a ``create`` that is watched. Each cancel goes through the caller's own
client. Sync guards cancel in threads, which a deadline can leave behind; async ones in tasks of the caller's loop.
"""

import asyncio
import contextlib
import functools
import logging
import math
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, overload

import anyio

from cancel_message_batch.api.calls import finish, settled
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import (
    InvalidInputError,
    from_client,
    from_sdk,
)
from cancel_message_batch.batches.canceling import CONCURRENCY, outcome_of, sorted_outcomes
from cancel_message_batch.record.names import clean_name
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import Action, KnownBatch, open_record
from cancel_message_batch.tools import CANCEL, GET, MessageBatchIdInput, ToolOutcome
from cancel_message_batch.words import programs

if TYPE_CHECKING:  # importing the guard does not import the SDK
    from anthropic import Anthropic, AsyncAnthropic
    from anthropic.resources.beta.messages import AsyncBatches as AsyncBetaBatches
    from anthropic.resources.beta.messages import Batches as BetaBatches
    from anthropic.resources.messages import AsyncBatches, Batches

logger = logging.getLogger("cancel_message_batch.guard")

When = Literal["on_error", "always"]
DEADLINE = 10.0  # seconds

_TERMINATED = 128 + signal.SIGTERM  # the exit code of a shell for it
_RAW = "x-stainless-raw-response"  # how the SDK's with_raw_response and with_streaming_response mark a call
_LOOK = 0.25  # the part of the time left that a look may take: a cancel must still be possible after it
_RECORD = 0.1  # the part of the deadline that is kept for writing to the record
_PAUSE = 0.02  # seconds between two looks whether a creation that is under way has been answered


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

    ``with guard(anthropic.Anthropic()) as batches:`` stands for ``client.messages.batches``. If the block is left by
    an exception, Ctrl-C, ``SystemExit`` or SIGTERM, what was created through ``batches`` and has not ended is
    canceled. What came of it goes to the logger ``cancel_message_batch.guard`` and into a note on the exception, which
    goes on. ``async with guard(anthropic.AsyncAnthropic()) as batches:`` does the same. No other batch is touched.

    Each batch is noted in this machine's record before ``create`` returns. When the process is killed (SIGKILL,
    ``os._exit``, a power cut), nothing is canceled; ``cancel-message-batch list --orphaned`` then shows the batch.

    If a ``create`` is not answered, the batch may exist: the log and the exception say so. But by default the SDK sends
    such a ``create`` again, and nobody learns the id of a first batch. ``anthropic.Anthropic(max_retries=0)`` prevents
    it.

    SIGTERM is handled if the guard is entered in the main thread and the program does not handle SIGTERM itself. The
    block is then left by ``SystemExit(143)``, or by a cancellation of the guard's asyncio task. After the cancels the
    process ends by SIGTERM, so that its parent sees what it would have seen without a guard.

    Args:
        client: ``anthropic.Anthropic()`` or ``anthropic.AsyncAnthropic()``; or a resource of it, such as
            ``client.beta.messages.batches``.
        name: The name that its batches get on this machine: ``cancel-message-batch list`` shows it.
        cancel: ``"always"`` cancels when the block ends without an exception as well.
        deadline: Seconds that leaving the block may take. Ctrl-C is ignored in that time.

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


@dataclass(frozen=True)
class _Created:
    """A batch that was created here."""

    pid: int  # a child that was forked does not cancel what its parent created
    options: dict[str, Any]  # its cancel is sent with these as well
    workspace: str | None  # that the answer named


class _Guard(ABC):
    """What sync and async guards share. To the tools it is ``messages.batches``, within the time that is left."""

    def __init__(self, batches: Any, name: str, cancel: When, deadline: float) -> None:
        client = batches._client  # noqa: SLF001 - the one that its requests go through
        self.task: asyncio.Task[Any] | None = None
        self._batches = batches
        self._once = type(batches)(client.with_options(max_retries=0))
        self._origin = origin(str(client.base_url))
        self._name, self._always, self._deadline = name, cancel == "always", deadline
        self._record = open_record(logger.warning)
        self._lock = threading.Lock()
        self._open = False

    def _begin(self) -> None:
        self._end = math.inf  # by time.monotonic
        self._stopping = self._told = False
        self._creating: dict[object, tuple[datetime, int]] = {}
        self._created: dict[str, _Created] = {}
        self._waiting: deque[str] = deque()
        self._sent: set[str] = set()
        self._outcomes: dict[str, ToolOutcome] = {}
        self._why = ""

    def _enter(self) -> Any:
        """Open the guard; return the SDK's resource with a ``create`` that is watched."""
        if self._open:
            raise RuntimeError("this guard is open already; make another one")
        self._begin()
        self.task = _current_task()
        _signals.enter(self)
        self._open = True
        kind = type(self._batches)
        members = {"create": functools.wraps(kind.create)(self._watching()), "__module__": kind.__module__}
        return type(kind.__name__, (kind,), members)(self._batches._client)  # noqa: SLF001

    @abstractmethod
    def _watching(self) -> Callable[..., Any]:
        """Return the ``create`` that is watched."""

    @abstractmethod
    def _pause(self) -> Any:
        """Let a moment pass."""

    async def _create(self, options: dict[str, Any]) -> Any:
        """Create a batch, and note it before the caller learns its id."""
        if not self._open:
            raise RuntimeError("the guard has been left, so nothing was sent; create batches inside its block")
        if "requests" in options and not isinstance(options["requests"], list | tuple):
            options["requests"] = list(options["requests"])  # it may be a generator
        requests = options.get("requests", ())
        wrapped = any(header.lower() == _RAW for header in options.get("extra_headers") or ())
        creation, began, response, message_batch_id = object(), datetime.now(UTC), None, None
        self._creating[creation] = (began, len(requests))
        try:
            response = await settled((self._batches if wrapped else self._batches.with_raw_response).create(**options))
            batch = await settled(response.parse())
            if message_batch_id := _text(batch, "id"):
                await self._note(message_batch_id, requests, options, response.headers.get("anthropic-workspace-id"))
            else:  # something else than the API has answered
                self._lost(began, len(requests), None)
            return response if wrapped else batch
        except BaseException as error:
            known = from_sdk(error) or from_client(error)
            # Any other Exception, such as a TypeError, came before anything was sent.
            arrived = known.may_have_arrived if known else response is not None or not isinstance(error, Exception)
            if arrived and message_batch_id is None:
                self._lost(began, len(requests), error)
            raise
        finally:
            del self._creating[creation]

    async def _note(
        self, message_batch_id: str, requests: Sequence[Any], options: Mapping[str, Any], workspace: str | None
    ) -> None:
        kept = {key: options[key] for key in ("workspace_id", "extra_query") if key in options}
        headers = options.get("extra_headers") or {}
        # These may say who the caller is, and in which workspace. An idempotency key is of one request.
        kept["extra_headers"] = {k: v for k, v in headers.items() if k.lower() not in {_RAW, "idempotency-key"}}
        with self._lock:
            self._created[message_batch_id] = _Created(os.getpid(), kept, workspace)
            if self._stopping:  # the guard is just being left, by another thread or task
                self._waiting.append(message_batch_id)
            late = self._told
        process = Process.current()
        known = KnownBatch(message_batch_id, self._origin, process, workspace, self._name or None, len(requests))
        # In this thread: while a coroutine waits it can be canceled, and the batch would not be in the record.
        self._record.add_creation(known, "guard")
        if late:
            self._say([message_batch_id], None)

    def _stop(self, error: BaseException | None) -> bool:
        """Close the guard; return whether there is something to cancel."""
        with self._lock:
            self._open = False
            self._stopping = error is not None or self._always
            self._end = time.monotonic() + self._deadline * (1 - _RECORD)
            self._why = _signals.reason(error)
            if self._stopping:
                self._waiting.extend(self._mine())
        return bool(self._stopping and (self._waiting or self._creating))

    def _mine(self) -> list[str]:
        return [name for name, created in self._created.items() if created.pid == os.getpid()]

    def _left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)

    def _workers(self) -> range:
        return range(min(len(self._waiting) + len(self._creating), CONCURRENCY))

    async def _work(self) -> None:
        """Cancel what is waiting, one batch after the other. Several of these run side by side."""
        while (self._waiting or self._creating) and self._left():
            try:
                message_batch_id = self._waiting.popleft()
            except IndexError:  # there is none until a creation that is under way has been answered
                await settled(self._pause())
            else:
                await self._settle(message_batch_id)

    async def _settle(self, message_batch_id: str) -> None:
        """Cancel one batch, unless it has ended or is canceling already."""
        given = MessageBatchIdInput.model_construct(message_batch_id=message_batch_id)
        outcome = await outcome_of(message_batch_id, GET.handler(given, self))
        if outcome.batch is None or outcome.batch.processing_status not in {"canceling", "ended"}:
            outcome = await outcome_of(message_batch_id, CANCEL.handler(given, self))
        self._outcomes[message_batch_id] = outcome

    def retrieve(self, message_batch_id: str) -> Any:
        """Look at a batch, once and not for long: there must be time for a cancel after it."""
        options = self._created[message_batch_id].options
        return self._once.retrieve(message_batch_id, timeout=_LOOK * self._left() or 0.001, **options)

    def cancel(self, message_batch_id: str) -> Any:
        """Cancel a batch, with the caller's own retries."""
        self._sent.add(message_batch_id)
        options = self._created[message_batch_id].options
        return self._batches.cancel(message_batch_id, timeout=self._left() or 0.001, **options)

    def _tell(self, error: BaseException | None) -> None:
        """Say what came of all that was created here."""
        with self._lock:
            self._told = True
            mine = self._mine()
        for began, size in list(self._creating.values()):
            self._lost(began, size, error)
        if mine:
            self._say(mine, error)
            self._keep(mine)

    def _say(self, ids: Sequence[str], error: BaseException | None) -> None:
        canceling, ended, failed = sorted_outcomes(ids, self._outcomes, self._sent)
        level = logging.ERROR if failed else logging.WARNING if canceling else logging.INFO
        _log(level, programs.guard_left(self._name, self._why, canceling, ended, failed), error)

    def _keep(self, ids: Sequence[str]) -> None:
        """Note in the record what was done, but do not wait long for a record that is locked."""
        outcomes = {name: self._outcomes[name] for name in ids if name in self._outcomes}
        actions = [
            Action(
                name,
                through="guard",
                what="cancel",
                words=self._why,
                answer=outcome.answer,
                origin=self._origin,
                workspace=self._created[name].workspace,
            )
            for name, outcome in outcomes.items()
            if name in self._sent
        ]

        def write() -> None:
            self._record.add_action(*actions)
            self._record.note_ended(name for name, one in outcomes.items() if one.batch and one.batch.ended)

        for thread in _started(write, range(1)):
            thread.join(self._deadline * _RECORD)

    @staticmethod
    def _lost(began: datetime, size: int, error: BaseException | None) -> None:
        _log(logging.ERROR, programs.creation_lost(began, size), error)


class _SyncGuard(_Guard):
    def _watching(self) -> Callable[..., Any]:
        def create(_batches: Any, **options: Any) -> Any:
            return finish(self._create(options))

        return create

    def _pause(self) -> None:
        time.sleep(_PAUSE)

    def __enter__(self) -> Any:
        return self._enter()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        busy = self._stop(error)
        with _signals.leaving(self, error, busy=busy):
            if busy:
                for thread in _started(lambda: finish(self._work()), self._workers()):
                    thread.join(self._left())
                self._tell(error)


class _AsyncGuard(_Guard):
    def _watching(self) -> Callable[..., Any]:
        async def create(_batches: Any, **options: Any) -> Any:
            return await self._create(options)

        return create

    def _pause(self) -> Any:
        return anyio.sleep(_PAUSE)

    async def __aenter__(self) -> Any:
        return self._enter()

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        busy, again = self._stop(error), None
        with _signals.leaving(self, error, busy=busy):
            if busy:
                if not isinstance(error, GeneratorExit):  # a coroutine that is thrown away cannot wait
                    again = await self._cancel_all()
                self._tell(error)
        if again is not None and not isinstance(error, asyncio.CancelledError):
            raise again

    async def _cancel_all(self) -> BaseException | None:
        """Cancel side by side until the deadline; return a cancellation of the task that came meanwhile."""
        again: BaseException | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + self._left(), shield=True) as scope:
            while (self._waiting or self._creating) and self._left():
                try:
                    async with anyio.create_task_group() as tasks:
                        for _ in self._workers():
                            tasks.start_soon(self._work)
                except anyio.get_cancelled_exc_class() as canceled:
                    if scope.cancel_called:
                        raise
                    again = canceled  # the shield does not keep off a cancellation of asyncio
                    self._waiting = deque(name for name in self._mine() if name not in self._outcomes)
        return again


class _Signals:
    """Ctrl-C and SIGTERM in the main thread, while guards that were entered there are open."""

    def __init__(self) -> None:
        self._guards: list[_Guard] = []
        self._pid = 0
        self._leaving = 0  # guards that are canceling what they created
        self._interrupt: Any = None
        self._came = False  # SIGTERM
        self._held = False  # SIGTERM, while a guard was canceling

    def enter(self, guard: _Guard) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if self._pid != os.getpid():  # a child that was forked: the guards are its parent's
            self._guards, self._pid, self._leaving = [], os.getpid(), 0
        # An exception in the loop of another library than asyncio would break the loop.
        possible = guard.task is not None or isinstance(guard, _SyncGuard)
        if possible and not self._guards and signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, self._terminate):
            self._came = False
            signal.signal(signal.SIGTERM, self._terminate)
        self._guards.append(guard)

    def reason(self, error: BaseException | None) -> str:
        """Return what a guard was left by, in a word; empty when nothing went wrong."""
        if self._came and (isinstance(error, asyncio.CancelledError) or getattr(error, "code", None) == _TERMINATED):
            return "SIGTERM"
        return "" if error is None else type(error).__name__

    @contextlib.contextmanager
    def leaving(self, guard: _Guard, error: BaseException | None, *, busy: bool) -> Iterator[None]:
        """Hold signals back while a guard is busy; put the handlers back with the last guard."""
        if guard not in self._guards:  # of another thread
            yield
            return
        if busy and not self._leaving and signal.getsignal(signal.SIGINT) is not None:
            self._interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._leaving += busy
        try:
            yield
        finally:
            self._guards.remove(guard)
            self._leaving -= busy
            if not self._leaving and self._interrupt is not None:
                signal.signal(signal.SIGINT, self._interrupt)
                self._interrupt = None
            if not self._guards and signal.getsignal(signal.SIGTERM) == self._terminate:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            due = not self._guards and self.reason(error) == "SIGTERM"
            if not self._leaving and (self._held or due):
                self._held = self._came = False
                signal.raise_signal(signal.SIGTERM)

    def _terminate(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a child that was forked and has no guard of its own
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if self._leaving:
            self._held = True
            return
        self._came = True
        tasks = {guard.task for guard in self._guards if guard.task and not guard.task.done()}
        if not tasks:
            raise SystemExit(_TERMINATED)
        # The code in a sync guard may run for long before its task would notice a cancellation.
        blocking = {guard.task for guard in self._guards if isinstance(guard, _SyncGuard)} & tasks & {_current_task()}
        for task in tasks - blocking:
            task.cancel()
            task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits for a socket
        if blocking:
            raise asyncio.CancelledError


_signals = _Signals()


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop of asyncio runs in this thread
        return None


def _started(work: Callable[[], object], number: range) -> list[threading.Thread]:
    """Start threads that the program does not wait for when it ends: a deadline leaves them behind."""
    threads: list[threading.Thread] = []
    with contextlib.suppress(RuntimeError):  # at the end of the interpreter none can be started
        for _ in number:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            threads.append(thread)
    return threads


def _log(level: int, text: str, error: BaseException | None) -> None:
    logger.log(level, "%s", text)
    if error is not None:
        with contextlib.suppress(TypeError):  # somebody put something else into its __notes__
            error.add_note(text)


def _text(value: Any, *names: str) -> str | None:
    """Return a text in a dict or an object, found by the names that lead to it; None for anything else."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value if isinstance(value, str) else None
