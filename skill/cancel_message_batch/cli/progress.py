"""What a terminal shows while something is going on: lines that are rewritten in place and removed at the end."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from .terminal import columns_of, fitted, write

_PAUSE = 0.25  # seconds between two pictures


@contextlib.contextmanager
def live_lines(picture: Callable[[], tuple[Iterable[str], str]], *, quiet: bool = False) -> Iterator[None]:
    """Show the picture on standard error if that is a terminal, and draw it again four times a second.

    ``picture`` returns rows, of which as many are shown as the terminal has room for, and what stands below them.
    """
    if quiet or not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    shown = ""

    def draw(rows: Iterable[str], below: str) -> None:
        nonlocal shown
        columns, height = os.get_terminal_size(sys.stderr.fileno())
        # The height is counted anew each time: a terminal that has become narrower wraps the lines that it shows.
        # They are erased one by one: tmux keeps a copy of a whole screen that is erased at once.
        erase = "\r" + "\033[A\033[2K" * _height(shown, columns)
        shown = _picture(rows, fitted(below, sys.stderr), columns, height or 24)
        write(sys.stderr, erase + shown)

    def keep_drawing() -> None:
        with contextlib.suppress(OSError):  # the terminal is gone
            draw(*picture())
            while not over.wait(_PAUSE):
                draw(*picture())

    thread = threading.Thread(target=keep_drawing, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(OSError):
            draw((), "")


def _picture(rows: Iterable[str], below: str, columns: int, height: int) -> str:
    """Return the lines to show, each with its end, so that the cursor stands below them and nothing scrolls."""
    lines: list[str] = []
    last = below.splitlines()[: max(height - 1, 1)]
    room = height - 2 - _height("\n".join(last), columns)  # one for the cursor, one for how many are not shown
    left = iter(rows)
    for row in left:
        room -= _height(row, columns)
        if room < 0:
            lines += [f"… {1 + sum(1 for _ in left):,} more"] if lines else []
            break
        lines.append(row)
    return "".join(f"{line}\n" for line in (*lines, *last))


def _height(text: str, columns: int) -> int:
    """Return how many rows of a terminal the lines of a text take."""
    plain = re.sub(r"\033\[[\d;]*m", "", text)
    return sum(max(1, -(-columns_of(line) // (columns or 80))) for line in plain.splitlines())
