"""The command that is run: its start, the signals that reach it, its exit code, and what it leaves running."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it

_TYPED = ["SIGINT", "SIGQUIT"]
_ENDING = [*_TYPED, "SIGTERM", "SIGHUP"]
_ENDING_TOO = 0.2  # seconds after the command for what it has started
_BY_KERNEL = 0x80  # SI_KERNEL of Linux: the terminal sent a signal, to everything in its foreground


class Child:
    """Starts a command. From then on no signal ends this process: each is held back until it is looked at.

    Ctrl-C and the like in the terminal reach the command without us. Other signals are passed on to it.

    Attributes:
        code: The exit code of the command once it has ended, as Popen has it.
        interrupted: The name of the first signal that was to end the command; empty if there was none.
        interrupted_at: When the last one came, of ``time.monotonic()``.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._held: set[int] = set()
        self._unheld: set[Any] = set()
        self._handlers: dict[int, Any] = {}
        self.code = 0
        self.interrupted = ""
        self.interrupted_at = 0.0

    def __enter__(self) -> Self:
        if sys.platform == "win32":
            self._handlers[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: self._learn(signal.SIGINT))
            return self
        # One that is ignored (nohup, a job in the background) is ignored by the command too.
        passed_on = [signal.Signals[name] for name in (*_ENDING, "SIGUSR1", "SIGUSR2")]
        self._held = {number for number in passed_on if signal.getsignal(number) != signal.SIG_IGN}
        # Where SIGCHLD is ignored, as supervisors do, the system keeps no exit code.
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._held.add(signal.SIGCHLD)
        self._unheld = signal.pthread_sigmask(signal.SIG_BLOCK, self._held)
        return self

    def __exit__(self, *error: object) -> None:
        if sys.platform != "win32":
            while pending := signal.sigpending() & self._held:
                signal.sigwait(pending)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._unheld)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start(self) -> int:
        """Start the command and return its pid; an OSError says why it cannot be started."""
        release = None if sys.platform == "win32" else self._release
        self._process = subprocess.Popen(  # noqa: S603 - it is what is asked for
            self._command,
            env=self._environment,
            close_fds=False,
            preexec_fn=release,  # noqa: PLW1509 - no thread was started yet
        )
        return self._process.pid

    def wait(self) -> None:
        """Wait until the command has ended, and pass signals on to it."""
        if sys.platform == "win32":
            self.code = self._process.wait()
            return
        while (code := self._process.poll()) is None:
            # The lowest number comes first: what has ended the command is seen before SIGCHLD.
            if sys.platform == "linux":
                came = signal.sigwaitinfo(self._held)
                number = came.si_signo
                alone = number == signal.SIGHUP and os.getsid(0) == os.getpid()  # a lost terminal reaches its leader
                has_it = came.si_code == _BY_KERNEL and not alone
            else:
                number = signal.sigwait(self._held)
                has_it = signal.Signals(number).name in _TYPED and _has_terminal()
            self._learn(number)
            if not has_it and number != signal.SIGCHLD:
                with contextlib.suppress(OSError):
                    self._process.send_signal(number)
        self.code = code

    def interrupted_again(self) -> bool:
        """Return whether Ctrl-C was pressed after the command had ended."""
        return sys.platform != "win32" and signal.SIGINT in signal.sigpending()

    def left_running(self, url: str) -> list[int]:
        """Return the processes that have this URL from the command, where the system shows them (Linux)."""

        def look() -> list[int]:
            found = []
            for environment in Path("/proc").glob("[0-9]*/environ"):
                with contextlib.suppress(OSError):
                    if url.encode() in environment.read_bytes():
                        found.append(int(environment.parent.name))
            return found

        if look():  # they may just be ending too
            time.sleep(_ENDING_TOO)
            return look()
        return []

    def _release(self) -> None:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, self._unheld)

    def _learn(self, number: int) -> None:
        name = signal.Signals(number).name
        if name in _ENDING:
            self.interrupted = self.interrupted or name
            self.interrupted_at = time.monotonic()


def _has_terminal() -> bool:
    """Return whether we are in the foreground of a terminal, and so the command is."""
    with contextlib.suppress(OSError), open("/dev/tty", "rb", buffering=0) as terminal:
        return sys.platform != "win32" and os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False


def end_of(code: int) -> str:
    """Name what ended a command: a signal, or an exit code."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
