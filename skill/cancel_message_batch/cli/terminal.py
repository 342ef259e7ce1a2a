"""The terminal: its width, its colours, and whether a person can be asked there."""

import os
import re
import shutil
import sys
import textwrap
import unicodedata
from typing import TextIO

from . import streams


def width() -> int:
    """Return the number of columns."""
    return shutil.get_terminal_size((80, 24)).columns


def wrapped(text: str, columns: int, *, indent: str = "") -> str:
    """Wrap a line between words; ids and other long words stay whole. Further lines begin with ``indent``."""
    return textwrap.fill(
        text, max(columns, 1), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def cut(text: str, columns: int) -> str:
    """Cut a text to so many columns; a character of some scripts takes two."""

    def taken() -> int:
        return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

    if taken() <= columns:
        return text
    while text and taken() >= columns:
        text = text[:-1]
    return f"{text}…"


def fitted(text: str, stream: TextIO) -> str:
    """Wrap prose to the terminal's width; a stream that is not a terminal gets the text as it is.

    Indented lines are left alone, because they are meant to be copied. So is a command in backticks: where it does not
    fit into a line of prose, it gets lines of its own.
    """
    if not stream.isatty():
        return text
    lines = []
    for line in text.splitlines():
        if line.startswith("  "):
            lines.append(line)
            continue
        glued = re.sub(r"`[^`]+`", lambda command: command.group().replace(" ", "\0"), line)
        for part in wrapped(glued, width()).replace("\0", " ").splitlines() or [""]:
            alone = re.fullmatch(r"`([^`]+)`[.,;:)]*", part)
            lines.append(copyable(alone[1], width()) if alone and len(part) > width() else part)
    return "\n".join(lines)


def copyable(command: str, columns: int) -> str:
    """Indent a command. Where it is too long for a line, it goes on after a backslash, as a shell reads it."""
    lines = wrapped(f"  {command}", columns - 2, indent="    ").splitlines()
    for number in range(1, len(lines)):
        if "".join(lines[:number]).count('"') % 2:  # the indent would become part of a quoted argument
            lines[number] = lines[number].lstrip()
    return " \\\n".join(lines)


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
    """Ask a person for a yes. Any other answer is a no; an interruption passes on.

    A yes that was typed before the question was shown does not count.
    """
    discard_typed_ahead()
    streams.write(sys.stderr, f"{fitted(f'{question} [y/N]', sys.stderr)} ")
    answer = sys.stdin.readline()
    if not answer:  # Ctrl-D leaves the cursor behind the question
        streams.write(sys.stderr, "\n")
    return answer.strip().lower() in {"y", "yes"}


def discard_typed_ahead() -> None:
    """Throw away what was typed at the terminal but has not been read yet."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        if sys.stdin.isatty():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
    toolkit = sys.modules.get("prompt_toolkit.input.typeahead")
    if toolkit is not None:  # keys that an earlier prompt has read beyond its end
        from prompt_toolkit.application.current import get_app_session

        toolkit.clear_typeahead(get_app_session().input)
