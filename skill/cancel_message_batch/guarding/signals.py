"""Ctrl-C, SIGTERM and SIGHUP while guards are open.

SIGTERM and SIGHUP leave the guarded blocks, and end the process after the cancels. While a guard cancels, Ctrl-C only
ends its waiting. The main thread alone can handle signals: what is left in another thread, no signal interrupts.
Windows never sends SIGTERM to a program and has no SIGHUP: there, this is about Ctrl-C alone.
"""

import asyncio
import functools
import os
import signal
import threading
from types import FrameType
from typing import Any

_ENDING = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]


class Signals:
    """The handlers of one process: installed with the first guard that is entered, removed with the last one."""

    def __init__(self) -> None:
        self._guards: list[Any] = []  # entered in the main thread: each with its task or None, and ``is_async``
        self._pid = 0
        self._leaving: list[Any] = []  # guards that are being left in the main thread
        self._interrupt: Any = None  # the program's own handler of Ctrl-C, meanwhile
        self._interrupted = False  # by a Ctrl-C that no guard has made use of
        self._came = 0  # SIGTERM or SIGHUP, which ends the blocks
        self._postponed = 0  # the same, while a guard was being left

    def enter(self, guard: Any) -> None:
        """Handle SIGTERM and SIGHUP from now on, unless the program does so itself."""
        if not in_main_thread():
            return
        if self._pid != os.getpid():  # a forked child: the guards are its parent's
            self._guards, self._leaving, self._pid = [], [], os.getpid()
        # An exception in the loop of another library than asyncio would break the loop.
        if not self._guards and (guard.task is not None or not guard.is_async):
            self._came = 0
            for number in _ENDING:
                if signal.getsignal(number) == signal.SIG_DFL:
                    signal.signal(number, self._terminate)
        self._guards.append(guard)

    def ended_by(self, guard: Any) -> str:
        """Return the name of the signal that was to end this open guard, whatever the program made of it, or nothing.

        Without the guard, the signal would have ended the program.
        """
        return signal.Signals(self._came).name if self._came and guard in self._guards else ""

    def hold(self, guard: Any) -> None:
        """While a guard is left, let no signal interrupt that; it may be called again after an interruption."""
        if not in_main_thread():
            return
        if signal.getsignal(signal.SIGINT) not in (None, self._end_waiting):
            self._interrupt = signal.signal(signal.SIGINT, self._end_waiting)
        if guard not in self._leaving:
            self._leaving.append(guard)

    def can_interrupt(self, guard: Any) -> bool:
        """Return whether Ctrl-C ends the waiting of a guard that is being left."""
        return guard in self._leaving

    def release(self, guard: Any) -> None:
        """After a guard was left, deliver what came meanwhile; with the last guard, restore the handlers."""
        if guard in self._guards:
            self._guards.remove(guard)
        if not in_main_thread():  # the handlers stay: with no guard open, they do what the system does
            return
        self._leaving.remove(guard)
        if self._leaving:
            return
        if signal.getsignal(signal.SIGINT) == self._end_waiting:
            signal.signal(signal.SIGINT, _unless_over(self._interrupt))
        due = self._postponed
        if not self._guards:
            for number in _ENDING:
                if signal.getsignal(number) == self._terminate:
                    signal.signal(number, signal.SIG_DFL)
            due = due or self._came
        due = due or (signal.SIGINT if self._interrupted else 0)
        self._interrupted = False
        if due:
            self._postponed = 0
            if not self._guards:
                self._came = 0
            signal.raise_signal(due)

    def _end_waiting(self, _number: int, _frame: FrameType | None) -> None:
        if not [guard for guard in self._leaving if guard.end_waiting()]:
            self._interrupted = True

    def _is_entering_exit(self, frame: FrameType | None) -> bool:
        """Return whether a guard is being left that does not hold the signals yet: an exception would end that."""
        while frame:
            if frame.f_code.co_name in {"__exit__", "__aexit__"}:
                left = frame.f_locals.get("self")
                if any(guard is left for guard in self._guards):
                    return True
            frame = frame.f_back
        return False

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._pid and (self._leaving or self._is_entering_exit(frame)):
            self._postponed = number
            return
        if os.getpid() != self._pid or not self._guards:  # a forked child without a guard of its own
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._came = number
        tasks = {guard.task for guard in self._guards if guard.task and not guard.task.done()}
        if not tasks:
            raise SystemExit(128 + number)  # the exit code that a shell reports for it
        # In a sync guard, the code may run for long before its task would notice a cancellation.
        blocking = {guard.task for guard in self._guards if not guard.is_async} & tasks & {current_task()}
        for task in tasks - blocking:
            task.cancel()
            task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits for a socket
        if blocking:
            raise asyncio.CancelledError


def _unless_over(handler: Any) -> Any:
    """Return a handler of Ctrl-C, or Python's own one in place of that of an ``asyncio.run`` whose task has ended.

    ``asyncio.run`` removes its handler only where it finds it, which it does not while a guard is being left.
    """
    task = handler.keywords.get("main_task") if isinstance(handler, functools.partial) else None
    return signal.default_int_handler if isinstance(task, asyncio.Task) and task.done() else handler


def ended_well(error: BaseException | None) -> bool:
    """Return whether a block that this exception left has ended normally: by ``sys.exit(0)``, or ``break``, say."""
    return error is None or is_closed(error) or (isinstance(error, SystemExit) and error.code in {None, 0})


def is_closed(error: BaseException | None) -> bool:
    """Return whether a block was closed from outside: a generator that holds it is read no more."""
    if isinstance(error, asyncio.CancelledError):
        return _in_discarded_generator()
    return isinstance(error, GeneratorExit)


def _in_discarded_generator() -> bool:
    """Return whether asyncio closes an async generator that nobody reads any more; it may cancel even that."""
    task = current_task()
    return task is not None and type(task.get_coro()).__name__ == "async_generator_athrow"  # what aclose() returns


def in_main_thread() -> bool:
    """Return whether this is the thread in which Python handles signals."""
    return threading.current_thread() is threading.main_thread()


def current_task() -> asyncio.Task[Any] | None:
    """Return the asyncio task that runs in this thread, or None."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
