"""The terminal: its streams, its width, its colours, prose that streams in, and questions to a person.

Standard streams may be closed or full, or their reader may have gone. None of that stops the work.
"""

import contextlib
import errno
import os
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from prompt_toolkit.input import Input

# What a terminal would obey or hide instead of showing. Tabs, line ends and the joiners of words and emoji may stay.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    f"{chr(0xE0000)}-{chr(0xE0FFF)}]"  # the plane of tags
)


def open_missing() -> None:
    """Put the null device where a standard stream was closed (``>&-``) before we started."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It stays open as long as the process lives. Not every command needs pathlib.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def make_blocking() -> None:
    """Make reads and writes of the standard streams wait: whoever started us may have set theirs not to (Node.js)."""
    if sys.platform != "win32":
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # it has no descriptor, or a closed one
                os.set_blocking(stream.fileno(), True)


def write(stream: TextIO, text: str = "") -> OSError | None:
    """Write and flush; returns the error if the stream cannot be written. Later writes to it then go nowhere."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Python flushes once more at exit; that must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def width() -> int:
    """Return the number of columns: of the terminal of standard error, where standard output leads elsewhere."""
    columns = 0
    with contextlib.suppress(OSError, ValueError):  # it is no terminal either, or has no descriptor
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    return shutil.get_terminal_size((columns or 80, 24)).columns


def wrapped(text: str, columns: int, *, indent: str = "") -> str:
    """Wrap a line between words, but not within an id or a duration. Further lines begin with ``indent``."""
    glued = re.sub(r"(?<=\d) (?=(?:s|min|h|d)\b)", "\0", text)
    lines = textwrap.fill(
        glued, max(columns, 1), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace("\0", " ")


def columns_of(text: str) -> int:
    """Return how many columns a text takes: a character of some scripts takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, columns: int) -> str:
    """Cut a text to this number of columns; one in quotation marks keeps them."""
    if columns_of(text) <= columns:
        return text
    end = '…"' if text.endswith('"') else "…"
    while text and columns_of(text + end) > columns:
        text = text[:-1]
    return text + end


def fitted(text: str, stream: TextIO) -> str:
    """Wrap prose to the terminal's width; a stream that is not a terminal gets the text as it is.

    Indented lines, which are meant to be copied, stay as they are. A command in backticks that does not fit into a line
    gets lines of its own.
    """
    if not stream.isatty():
        return text
    lines = []
    for line in text.splitlines():
        if line.startswith("  "):
            lines.append(line)
            continue
        glued = re.sub(r"`[^`]+`", lambda command: command.group().replace(" ", "\0"), line)
        indent = "  " if line.startswith("- ") else ""
        for part in wrapped(glued, width(), indent=indent).replace("\0", " ").splitlines() or [""]:
            alone = re.fullmatch(r"`([^`]+)`[.,;:)]*", part)
            lines.append(copyable(alone[1], width()) if alone and len(part) > width() else part)
    return "\n".join(lines)


def copyable(command: str, columns: int) -> str:
    """Indent a command. If it is too long for a line, it continues after a backslash, as a shell reads it."""
    if len(command) + 2 <= columns:
        return f"  {command}"
    lines = wrapped(f"  {command}", columns - 2, indent="    ").splitlines()
    for number in range(1, len(lines)):
        if "".join(lines[:number]).count('"') % 2:  # the indent would become part of a quoted argument
            lines[number] = lines[number].lstrip()
    return " \\\n".join(lines)


def paint(text: str, code: str, stream: TextIO) -> str:
    """Colour a text where colours are wanted. ``code`` is an ANSI colour: 2 is dim."""
    return f"\033[{code}m{text}\033[0m" if colored(stream) else text


def colored(stream: TextIO) -> bool:
    """Whether colours are wanted: in a terminal, unless NO_COLOR or FORCE_COLOR decide."""
    forced = os.environ.get("FORCE_COLOR", "0") not in {"", "0"}
    wanted = forced or (stream.isatty() and os.environ.get("TERM") != "dumb")
    return wanted and not os.environ.get("NO_COLOR")


def interactive() -> bool:
    """Whether there is a person at a terminal who can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


@contextlib.contextmanager
def own_terminal() -> Iterator[tuple[TextIO, TextIO]]:
    """Open keyboard and screen of the terminal that we were started from, wherever the standard streams lead.

    Without one, as in a service, or if another job is in its foreground, that is an OSError.
    """
    keyboard, screen = ("CONIN$", "CONOUT$") if sys.platform == "win32" else ("/dev/tty", "/dev/tty")
    with (
        open(keyboard, encoding="utf-8", errors="replace") as typed,
        open(screen, "w", encoding="utf-8", errors="replace") as shown,
    ):
        if sys.platform != "win32" and os.tcgetpgrp(typed.fileno()) != os.getpgrp():
            raise BlockingIOError(errno.EAGAIN, "another job is in the foreground of the terminal")
        yield typed, shown


def has_own_terminal() -> bool:
    """Whether a person can be asked although the standard streams lead elsewhere."""
    with contextlib.suppress(OSError), own_terminal():
        return True
    return False


def confirm(question: str, keyboard: TextIO | None = None, screen: TextIO | None = None) -> bool:
    """Ask a person for a yes. Any other answer is a no; an interruption passes on.

    A yes that was typed before the question was shown does not count.
    """
    keyboard, screen = keyboard or sys.stdin, screen or sys.stderr
    discard_typed_ahead(keyboard)
    write(screen, f"{fitted(f'{question} [y/N]', screen)} ")
    answer = ""
    with contextlib.suppress(OSError):  # the terminal is gone, or another job has it
        answer = keyboard.readline()
    if not answer:  # Ctrl-D leaves the cursor behind the question
        write(screen, "\n")
    return answer.strip().lower() in {"y", "yes"}


def discard_typed_ahead(keyboard: TextIO | None = None) -> None:
    """Throw away what was typed at the terminal but has not been read yet."""
    keyboard = keyboard or sys.stdin
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        with contextlib.suppress(termios.error):  # another job has the terminal, so that nothing can be read either
            if keyboard.isatty():
                termios.tcflush(keyboard, termios.TCIFLUSH)
    toolkit = sys.modules.get("prompt_toolkit.input.typeahead")
    if toolkit is not None:  # keys that an earlier prompt has read beyond its end
        from prompt_toolkit.application.current import get_app_session

        toolkit.clear_typeahead(get_app_session().input)


def typed_ahead(keyboard: "Input", within: float = 0) -> bool:
    """Whether something was typed at a prompt's terminal and not read yet, or will be ``within`` so many seconds."""
    from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead

    keys = get_typeahead(keyboard)  # what an earlier prompt has read beyond its end
    store_typeahead(keyboard, keys)
    if keys:
        return True
    if sys.platform == "win32":
        import msvcrt

        time.sleep(within)
        return msvcrt.kbhit()
    import select

    with keyboard.raw_mode():  # otherwise a line that is not complete yet would not count
        return bool(select.select([keyboard.fileno()], [], [], within)[0])


class Prose:
    """Writes prose that streams in. A terminal gets a word only once it is whole, so that no line breaks within it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._column = 0
        self._rest = ""  # the last word, which the next piece may continue, and the space before it

    def write(self, piece: str) -> None:
        """Write a piece."""
        text = self._rest + _CONTROL.sub("", piece)
        end = re.search(r"\s*\S*\Z", text) if self._stream.isatty() else None
        self._rest = end.group() if end else ""
        self._write(text.removesuffix(self._rest))

    def end(self) -> None:
        """Write the last word, and end the line if one has begun."""
        self._write(self._rest)
        write(self._stream, "\n" if self._column else "")
        self._rest, self._column = "", 0

    def _write(self, text: str) -> None:
        parts: list[str] = []
        for gap, word in re.findall(r"(\s*)(\S*)", text):
            before = 0 if "\n" in gap else self._column
            self._column = before + len(gap.rpartition("\n")[2]) + len(word)
            if before and self._column > width() and self._stream.isatty():
                gap, self._column = "\n", len(word)  # noqa: PLW2901
            parts += gap, word
        write(self._stream, "".join(parts))
