"""A guarded block: what was created in it, and what becomes of that when the block is left.

The block is given the SDK's own resource with a ``create`` that is watched. Each cancel is sent with the caller's own
client: by a sync guard in threads, which it abandons at its deadline, by an async one in tasks of the caller's loop.
"""

import asyncio
import atexit
import contextlib
import functools
import inspect
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import anyio
import anyio.lowlevel
import anyio.to_thread

from cancel_message_batch.api.calls import awaited, finish
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import InvalidInputError, MessageBatchError, clean, from_client, from_sdk, word
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import KnownBatch, open_record
from cancel_message_batch.tools import CANCEL, MessageBatchIdInput, ToolOutcome, sorted_outcomes
from cancel_message_batch.words import programs

from .cancels import STEP, Cancels
from .keeping import keep_url, tell
from .notes import Notes
from .signals import Signals, current_task, ended_well, is_closed

logger = logging.getLogger("cancel_message_batch.guard")

When = Literal["on_error", "always"]

_RAW = "x-stainless-raw-response"  # how the SDK's with_raw_response and with_streaming_response mark a call
_BLOCK = "guarded_block"  # the attribute by which a block knows the one around it
_AT_ONCE = 32  # cancels

_signals = Signals()
_open_blocks: set["_Block"] = set()


class _Creation:
    """A create: from its call until it is known what came of it.

    ``told`` says that its user was told that the batch may exist.
    """

    coroutine: Coroutine[Any, Any, Any]
    process: Process

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.began = datetime.now(UTC)
        self.requests = 0
        self.intent: int | None = None
        self.message_batch_id = ""
        self.told = False

    def intend(self, notes: Notes) -> None:
        """Note in the record that it is about to be sent."""
        self.intent = notes.intent(self.options.get("requests", ()))

    def is_over(self) -> bool:
        """Return whether nothing runs it any more: a signal may have interrupted the handling of another one."""
        return inspect.getcoroutinestate(self.coroutine) == inspect.CORO_CLOSED

    def tell(self, error: BaseException | None) -> None:
        """Say that its batch may exist."""
        text = programs.creation_lost(self.began, self.requests)
        logger.error("%s", text)
        self.told = True
        _add_note(error, text)

    def of_its_cancel(self) -> dict[str, Any]:
        """Return the options that a cancel of its batch needs too."""
        kept: dict[str, Any] = {
            key: self.options[key] for key in ("workspace_id", "extra_query") if key in self.options
        }
        headers = self.options.get("extra_headers") or {}
        # These may say who the caller is, and in which workspace. An idempotency key belongs to one request.
        kept["extra_headers"] = {k: v for k, v in headers.items() if k.lower() not in {_RAW, "idempotency-key"}}
        return kept


class _Block:
    """What sync and async blocks share."""

    is_async: bool

    def __init__(self, batches: Any, name: str, cancel: When, deadline: float) -> None:
        self.task: asyncio.Task[Any] | None = None  # that entered it
        self._batches = batches
        self._client = batches._client  # noqa: SLF001 - its requests go through it
        self._name, self._always, self._deadline = name, cancel == "always", deadline
        self._for_record = min(deadline / 10, 1.0)  # seconds of the deadline
        self._record = open_record(logger.warning)
        self._lock = threading.Lock()
        self._open = False

    def _enter(self, create: Callable[..., Any]) -> Any:
        """Open the guard; return the SDK's resource with this ``create``, which is watched, and with ``keep``."""
        if self._open:
            raise RuntimeError("this guard is already in use; create a new one")
        self.around: _Block | None = getattr(self._batches, _BLOCK, None)
        # For the record, one block in another is the same program.
        self.notes = self.around.notes if self.around else Notes(self._record, origin(str(self._client.base_url)))
        self.outcomes: dict[str, ToolOutcome] = self.around.outcomes if self.around else {}
        self._stopping = self._reported = self.hurry = False
        self._well = True  # until it is left
        self._cancels: Cancels | None = None  # once it is being left
        self._creating: set[_Creation] = set()  # sent, and not known what came of it
        self._created: dict[str, KnownBatch] = {}
        self._unreturned: list[str] = []  # created, but the call was interrupted
        self._kept: list[str] = []
        self._keep_urls: dict[str, str] = {}  # where `run` around the program learns of it
        self._options: dict[str, dict[str, Any]] = {}  # of a batch's cancel
        self._waiting: deque[str] = deque()  # to be canceled
        self._troubles: set[str] = set()
        self._why = ""
        self.task = current_task()
        _signals.enter(self)
        self._thread = threading.current_thread()
        self._open = True
        _open_blocks.add(self)
        atexit.unregister(_abandon_all)
        atexit.register(_abandon_all)
        kind = type(self._batches)
        members = {
            "create": functools.wraps(kind.create)(create),
            "keep": lambda _batches, message_batch_id: self.keep(message_batch_id),
            _BLOCK: self,
            "__module__": kind.__module__,
        }
        self._guarded = type(kind.__name__, (kind,), members)(self._client)
        return self._guarded

    def _creation(self, options: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """Return what creates a batch, when it is awaited or finished."""
        creation = _Creation(options)
        creation.coroutine = self._create(creation, options)
        return creation.coroutine

    async def _create(self, creation: _Creation, options: dict[str, Any]) -> Any:
        """Create a batch, and note it before the caller learns its id.

        A signal may interrupt this anywhere, and another one the handling of that.
        """
        self._check_open()
        if "requests" in options and not isinstance(options["requests"], list | tuple):
            options["requests"] = list(options["requests"])  # it may be a generator
        creation.requests = len(options.get("requests", ()))
        creation.process = Process.current()  # now: it takes too long to stand between a response and its noting
        wrapped = any(header.lower() == _RAW for header in options.get("extra_headers") or ())
        response = None
        try:
            if self.around is None:
                self.notes.add(lambda: creation.intend(self.notes))
                await self._written()
            with self._lock:
                self._check_open()  # that may have taken long, and so may reading the requests
                self._creating.add(creation)
            response = await awaited((self._batches if wrapped else self._batches.with_raw_response).create(**options))
            batch = await awaited(response.parse())
            if self._learn(creation, response):
                await self._written()
            else:  # something else than the API has answered
                self._failed(creation, None, lost=True)
            return response if wrapped else batch
        except BaseException as error:
            if response is not None and self._learn(creation, response):
                self._unreturned.append(creation.message_batch_id)
            else:
                known = from_sdk(error) or from_client(error)
                # Any other Exception, such as a TypeError, came before anything was sent.
                unknown = response is not None or not isinstance(error, Exception)
                arrived = known.may_have_arrived if known else unknown
                self._failed(creation, error, lost=arrived and (creation in self._creating or creation.told))
            raise

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("the guarded block has ended, so nothing was sent; create batches inside it")

    def _learn(self, creation: _Creation, response: Any) -> bool:
        """Note the batch that a response is about; return whether it is about one. A second call changes nothing."""
        if creation.message_batch_id or not (name := _id_in(response)):
            return bool(creation.message_batch_id)
        workspace = word(response.headers.get("anthropic-workspace-id"))
        known = KnownBatch(name, self.notes.origin, creation.process, workspace, self._name or None, creation.requests)
        with self._lock:
            self._options[name] = creation.of_its_cancel()
            self._keep_urls[name] = keep_url(str(response.url), response.headers)
            self._created[name] = known
            self._creating.discard(creation)
            if self._stopping:  # another thread or task is just leaving the guard
                self._waiting.append(name)
            late = self._reported
        if self.around is None or self._name:
            self.notes.add(lambda: self.notes.created(known, creation.intent))
        creation.message_batch_id = name
        if late:
            self._report([name], None)
        return True

    def _failed(self, creation: _Creation, error: BaseException | None, *, lost: bool) -> None:
        """Note that no id came of a create; say so if the batch may exist."""
        if lost and not creation.told:
            creation.tell(error)
        self._creating.discard(creation)
        if self.around is None:
            self.notes.add(lambda: self.notes.failed(creation.intent, lost=lost))
            _started(self.notes.write, 1)  # leaving the block waits for it

    def _write(self, seconds: float | None = None) -> None:
        """Write what is to be noted, in a thread that no signal interrupts, and wait for that so many seconds."""
        writing = _started(self.notes.write, 1)
        for thread in writing:
            thread.join(seconds)
        if not writing:
            self.notes.write()

    async def _written(self, seconds: float | None = None) -> None:
        """Do that as fits the block; an interruption ends the waiting only."""
        self._write(seconds)

    def keep(self, message_batch_id: str) -> None:
        """Let a batch run, however the block ends."""
        if message_batch_id not in self._created:
            raise InvalidInputError(f"{clean(str(message_batch_id), limit=80)} was not created through this guard")
        with self._lock:
            self._kept.append(message_batch_id)
            if message_batch_id in self._waiting:
                self._waiting.remove(message_batch_id)
        if self.around:
            self.around.keep(message_batch_id)
            return
        if (url := self._keep_urls[message_batch_id]) and (why := tell(url)):
            logger.warning("%s", programs.keep_not_told(message_batch_id, why))
        self.notes.keep([message_batch_id])

    def _stop(self, error: BaseException | None) -> Cancels | None:
        """Close the guard; return what cancels, if there is something to cancel, or to report."""
        with self._lock:
            self._open = False
            signal = _signals.ended_by(self)
            self._well = not signal and ended_well(error)
            self._stopping = self._always or not self._well
            self._why = signal or ("" if error is None else type(error).__name__)
            self._waiting.extend(self._uncanceled() if self._stopping else ())
        seconds = self._deadline - self._for_record
        sleep: Callable[[float], Any] = anyio.sleep if self.is_async else time.sleep
        if self._stopping and (self._own() or self._creating):
            self._cancels = Cancels(self._batches, self._options, seconds, sleep, self._on_pause)
            if self.hurry:
                self._cancels.end_waiting()
        return self._cancels

    def end_waiting(self) -> bool:
        """End the waiting if this guard is canceling, and that of guards around it; return whether it is canceling."""
        if self._cancels is None or self._reported:
            return False
        self._cancels.end_waiting()
        around = self.around
        while around:
            around.hurry, around = True, around.around
        return True

    def _on_pause(self, error: MessageBatchError, _seconds: float) -> None:
        with self._lock:
            new = str(error) not in self._troubles
            self._troubles.add(str(error))
        if new and self._cancels:
            left = self._cancels.time_left()
            logger.warning("%s", programs.still_trying(error.brief, left, interruptible=_signals.can_interrupt(self)))

    def _own(self) -> list[str]:
        """Return what this process created. A forked child does not cancel what its parent created."""
        return [name for name, known in self._created.items() if known.process and known.process.pid == os.getpid()]

    def _uncanceled(self) -> list[str]:
        """Return the batches for which no cancel, by this guard or one inside it, was confirmed, and none is wanted."""
        outcomes = self.outcomes
        wanted = [name for name in self._own() if name not in self._kept]
        return [name for name in wanted if name not in outcomes or outcomes[name].is_error]

    def _under_way(self) -> list[_Creation]:
        return [creation for creation in list(self._creating) if not creation.is_over()]

    def _busy(self, cancels: Cancels) -> bool:
        return bool(self._waiting or self._under_way()) and cancels.time_left() > 0

    def _workers(self) -> int:
        return min(len(self._waiting) + len(self._under_way()), _AT_ONCE)

    async def _work(self, cancels: Cancels) -> None:
        """Cancel what is waiting, one batch after the other. Several of these run side by side."""
        while self._busy(cancels):
            try:
                message_batch_id = self._waiting.popleft()
            except IndexError:  # until a create that is under way has been answered
                await awaited(cancels.sleep(STEP))
                continue
            given = MessageBatchIdInput.model_construct(message_batch_id=message_batch_id)
            self.outcomes[message_batch_id] = await CANCEL.handler(given, cancels)

    def _left(self, error: BaseException | None, unsent: str = "") -> None:
        """Report what became of everything that was created here, and note it in the record.

        ``unsent`` says why no cancel could be sent, if there was no time for it at all.
        """
        _open_blocks.discard(self)
        self._put_back()
        with self._lock:
            self._reported = True
            own = self._own()
        for creation in list(self._creating):
            if (self._cancels or creation.is_over()) and not creation.told:
                creation.tell(error)
        if self._cancels:
            if own:
                self._report(own, error, unsent)
        elif is_closed(error) and self.around is None and (left := self._uncanceled()):
            logger.warning("%s", programs.guard_closed(self._name, left))
        elif left := [name for name in self._uncanceled() if name in self._unreturned]:
            logger.warning("%s", programs.create_interrupted(left))
        self.notes.add(lambda: self._note_end(own))

    def _for_notes(self) -> float | None:
        """Return for how many seconds the notes are waited for when the block has been left.

        The record may be locked: it is not waited for longer than the deadline. But a normal end is not to be missed:
        a program whose end is not noted counts as killed.
        """
        return None if self._well else self._for_record

    def _note_end(self, own: Iterable[str]) -> None:
        sent = self._cancels.sent if self._cancels else ()
        outcomes = {name: self.outcomes[name] for name in own if name in self.outcomes}
        self.notes.canceled({name: one for name, one in outcomes.items() if name in sent}, self._created, self._why)
        if self.around:
            return
        left = set(self._uncanceled()) & (set(own) if self._always else outcomes.keys())
        if self._well and left:  # the others are wanted, and the program has not ended well because of these
            self.notes.keep(name for name in own if name not in outcomes and name not in left)
        self.notes.end(self._why or "normal end", well=self._well and not left)

    def abandon(self) -> None:
        """End a block that is still open when the process ends: a generator is suspended in it, and never finished.

        Later, when Python throws the generator away, too much of it is gone. A daemon thread is killed in its block.
        """
        if self._thread is threading.main_thread() or not self._thread.is_alive():
            error = _uncaught() or GeneratorExit()
            self._stop(error)
            self._left(error, "the cancel could not be sent, because the block was still open when the program ended")
            self._write(self._for_notes())

    def _put_back(self) -> None:
        """Undo ``client.messages.batches = batches``, with which a program that takes a client is guarded."""
        for place in (self._client, vars(self._client).get("beta")):
            messages: Any = getattr(place, "__dict__", {}).get("messages")
            if getattr(messages, "__dict__", {}).get("batches") is self._guarded:
                messages.batches = self._batches

    def _report(self, ids: Iterable[str], error: BaseException | None, unsent: str = "") -> None:
        sent = self._cancels.sent if self._cancels else ()
        kept = [name for name in ids if name in self._kept]
        others = (name for name in ids if name not in kept)
        canceling, ended, failed = sorted_outcomes(others, self.outcomes, sent, unsent=unsent)
        level = logging.ERROR if failed else logging.WARNING if canceling else logging.INFO
        _log(level, programs.guard_left(self._name, self._why, canceling, ended, failed, kept=kept), error)


class SyncBlock(_Block):
    """A block that ``with`` enters."""

    is_async = False

    def __enter__(self) -> Any:
        def create(_batches: Any, **options: Any) -> Any:
            return finish(self._creation(options))

        return self._enter(create)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if sys.is_finalizing():  # it was abandoned
            return
        try:
            _signals.hold(self)
        except KeyboardInterrupt:  # a second Ctrl-C just before
            _signals.hold(self)
        try:
            if cancels := self._stop(error):
                for thread in _started(lambda: finish(self._work(cancels)), self._workers()):
                    while thread.is_alive() and cancels.time_left():
                        thread.join(min(cancels.time_left(), STEP))
            self._left(error)
            self._write(self._for_notes())
        finally:
            _signals.release(self)


class AsyncBlock(_Block):
    """A block that ``async with`` enters."""

    is_async = True

    async def __aenter__(self) -> Any:
        async def create(_batches: Any, **options: Any) -> Any:
            return await self._creation(options)

        return self._enter(create)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if sys.is_finalizing():
            return
        try:
            _signals.hold(self)
        except KeyboardInterrupt:
            _signals.hold(self)
        canceled, unsent = None, ""
        can_wait = not isinstance(error, GeneratorExit) or (current_task() is not None and _in_async_generator())
        try:
            if (cancels := self._stop(error)) and not can_wait:
                unsent = "the cancel could not be sent, because the block was closed where nothing can wait for it"
            elif cancels and is_closed(error):
                await self._cancel_all_apart(cancels)
            elif cancels:
                canceled = await self._cancel_all(cancels)
            self._left(error, unsent)
            if is_closed(error):
                self._write(self._for_notes())
            else:
                with anyio.CancelScope(shield=True):
                    await self._written(self._for_notes())
        finally:
            _signals.release(self)
        if canceled is not None and not isinstance(error, asyncio.CancelledError):
            raise canceled

    async def _written(self, seconds: float | None = None) -> None:
        with anyio.move_on_after(seconds):
            own = anyio.CapacityLimiter(1)  # all of the default one may belong to callers that wait for this
            await anyio.to_thread.run_sync(self.notes.write, abandon_on_cancel=True, limiter=own)

    async def _cancel_all_apart(self, cancels: Cancels) -> None:
        """Do that in another task, for an async generator that is being closed: Python may do so twice at once."""
        work = asyncio.create_task(self._cancel_all(cancels))
        while not work.done() and current_task() is not None:
            with contextlib.suppress(asyncio.CancelledError, GeneratorExit):
                await asyncio.wait([work])

    async def _cancel_all(self, cancels: Cancels) -> BaseException | None:
        """Cancel side by side until the deadline; return a cancellation of the task that came meanwhile."""
        again: BaseException | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + cancels.time_left(), shield=True) as scope:

            async def watch() -> None:
                while not cancels.ended_by_person:  # noqa: ASYNC110 - a signal handler wakes nobody
                    await anyio.sleep(STEP)
                scope.deadline = anyio.current_time() + cancels.time_left()

            while self._busy(cancels):
                try:
                    await anyio.lowlevel.checkpoint()  # where a cancellation of before comes, and not amid the cancels
                    async with anyio.create_task_group() as watching:
                        watching.start_soon(watch)
                        async with anyio.create_task_group() as tasks:
                            for _ in range(self._workers()):
                                tasks.start_soon(self._work, cancels)
                        watching.cancel_scope.cancel()
                except anyio.get_cancelled_exc_class() as canceled:
                    if scope.cancel_called:
                        raise
                    again = canceled  # the shield does not hold off a cancellation by asyncio
                    self._waiting = deque(self._uncanceled())
        return again


def _id_in(response: Any) -> str:
    """Return the id of the batch that a response is about; nothing if there is none, or it has not been read."""
    try:
        name = response.http_response.json()["id"]
    except Exception:  # noqa: BLE001 - whatever came
        return ""
    return name if isinstance(name, str) else ""


def _abandon_all() -> None:
    for block in list(_open_blocks):
        block.abandon()


def _uncaught() -> BaseException | None:
    """Return the exception that ended the program; a prompt keeps that of an earlier line there."""
    uncaught: BaseException | None = getattr(sys, "last_value", None)
    return None if hasattr(sys, "ps1") else uncaught


def _in_async_generator() -> bool:
    """Return whether an async generator holds the block that is being closed: unlike a coroutine, it can still wait."""
    frame = sys._getframe(2)  # noqa: SLF001 - that of the block
    while frame.f_code.co_flags & inspect.CO_COROUTINE and frame.f_back:  # an AsyncExitStack
        frame = frame.f_back
    return bool(frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR)


def _started(work: Callable[[], object], number: int) -> list[threading.Thread]:
    """Start threads that the program does not wait for when it ends: after a deadline they are abandoned."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(number)]
    with contextlib.suppress(RuntimeError):  # while the interpreter ends, none can be started
        for thread in threads:
            thread.start()
    return [thread for thread in threads if thread.ident]


def _log(level: int, text: str, error: BaseException | None) -> None:
    logger.log(level, "%s", text)
    _add_note(error, text)


def _add_note(error: BaseException | None, text: str) -> None:
    if error is not None:
        with contextlib.suppress(TypeError):  # somebody put something else into its __notes__
            error.add_note(text)
