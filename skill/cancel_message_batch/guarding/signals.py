"""Ctrl-C and SIGTERM while guards are open in the main thread.

SIGTERM leaves the guarded blocks, and ends the process after the cancels. While a guard cancels, neither interrupts it.
Windows never sends SIGTERM to a program: there, this is about Ctrl-C alone.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

TERMINATED = 128 + signal.SIGTERM  # the exit code that a shell reports for it


class Signals:
    """The handlers of one process: installed with the first guard that is entered, removed with the last one."""

    def __init__(self) -> None:
        self._guards: list[Any] = []  # each with its task, or None, and whether it ``is_async``
        self._pid = 0
        self._leaving = 0  # guards that are canceling what they created
        self._interrupt: Any = None  # the program's own handler of Ctrl-C, while a guard cancels
        self._came = False  # SIGTERM
        self._postponed = False  # SIGTERM, while a guard was canceling

    def enter(self, guard: Any) -> None:
        """Handle SIGTERM from now on, unless the program does so itself."""
        if threading.current_thread() is not threading.main_thread():
            return
        if self._pid != os.getpid():  # a forked child: the guards are its parent's
            self._guards, self._pid, self._leaving = [], os.getpid(), 0
        # An exception in the loop of another library than asyncio would break the loop.
        possible = guard.task is not None or not guard.is_async
        if possible and not self._guards and signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, self._terminate):
            self._came = False
            signal.signal(signal.SIGTERM, self._terminate)
        self._guards.append(guard)

    def reason(self, error: BaseException | None) -> str:
        """Return in one word why a block ended; nothing if it ended normally."""
        if self._came and (isinstance(error, asyncio.CancelledError) or getattr(error, "code", None) == TERMINATED):
            return "SIGTERM"
        return "" if error is None else type(error).__name__

    @contextlib.contextmanager
    def leaving(self, guard: Any, error: BaseException | None, *, busy: bool) -> Iterator[None]:
        """Postpone SIGTERM and ignore Ctrl-C while a guard is busy; with the last guard, restore the handlers."""
        if guard not in self._guards:  # it was entered in another thread
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
            if not self._leaving and (self._postponed or due):
                self._postponed = self._came = False
                signal.raise_signal(signal.SIGTERM)

    def _terminate(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a forked child without a guard of its own
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        if self._leaving:
            self._postponed = True
            return
        self._came = True
        tasks = {guard.task for guard in self._guards if guard.task and not guard.task.done()}
        if not tasks:
            raise SystemExit(TERMINATED)
        # In a sync guard, the code may run for long before its task would notice a cancellation.
        blocking = {guard.task for guard in self._guards if not guard.is_async} & tasks & {current_task()}
        for task in tasks - blocking:
            task.cancel()
            task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits for a socket
        if blocking:
            raise asyncio.CancelledError


def current_task() -> asyncio.Task[Any] | None:
    """Return the asyncio task that runs in this thread, or None."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
