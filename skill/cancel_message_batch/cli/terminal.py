"""The terminal: its width, its colours, and whether a person can be asked there."""

import os
import shutil
import sys
import textwrap
from typing import TextIO

from . import streams


def width() -> int:
    """Return the number of columns."""
    return shutil.get_terminal_size((80, 24)).columns


def fitted(text: str, stream: TextIO) -> str:
    """Wrap prose to the terminal's width.

    Ids and addresses stay whole. Indented lines are left alone, because they are meant to be copied. A stream that
    is not a terminal gets the text as it is.
    """
    if not stream.isatty():
        return text
    return "\n".join(
        line if line.startswith("  ") else textwrap.fill(line, width(), break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def _colored(stream: TextIO) -> bool:
    """Whether to use colour: NO_COLOR and FORCE_COLOR decide, else whether the stream is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, code: str, stream: TextIO) -> str:
    """Colour a text where colours are wanted. ``code`` is an ANSI colour, such as 2 for dim."""
    return f"\033[{code}m{text}\033[0m" if _colored(stream) else text


def interactive() -> bool:
    """Whether there is a person at a terminal who can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def confirm(question: str) -> bool:
    """Ask a person for a yes. Any other answer is a no; an interruption passes on."""
    streams.write(sys.stderr, f"{fitted(question, sys.stderr)} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
