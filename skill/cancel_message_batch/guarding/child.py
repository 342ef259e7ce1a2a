"""The command that is run: its start, the signals that reach it, and its exit code."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, Self

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it

_TYPED = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)]
_SENT = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Child:
    """Starts a command. While the command runs, no signal ends this process first.

    Ctrl-C and the like in the terminal reach the command without us. Other signals are passed on to it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []  # signals that came before the command had started
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (*_TYPED, *_SENT):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a job in the background: the command inherits it
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the command; an OSError says why it cannot be started."""
        self._process = subprocess.Popen(self._command, env=self._environment)  # noqa: S603 - it is what is asked for
        for number in self._early:
            self._pass_on(number)
        return self._process

    def _received(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as Python calls it
        if self._process is None:
            self._early.append(number)
        elif number not in _TYPED or not _has_terminal():
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._process:
                self._process.send_signal(number)


def _has_terminal() -> bool:
    """Return whether we are in the foreground of a terminal, and so the command is."""
    if sys.platform == "win32":
        return True
    with contextlib.suppress(OSError), open("/dev/tty", "rb", buffering=0) as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False


def ended_by(code: int) -> str:
    """Say how a command ended."""
    if code >= 0:
        return f"failed (exit code {code})"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
