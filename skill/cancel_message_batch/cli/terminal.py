"""What a person sees: text fitted to the terminal, tables, colours, questions."""

import contextlib
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.summary import facts, since

from . import streams

if TYPE_CHECKING:
    from cancel_message_batch.batches.waiting import WaitState

WIDTH_OF_A_TABLE = 78
_COLORS = {"in_progress": "32", "canceling": "33", "ended": "2"}


class Output:
    """Standard output and standard error, as the person wants them.

    A reader that goes away (``| head``) ends the output, never the work: ``closed`` tells.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.closed = False
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    def print(self, text: str) -> None:
        """Print a result."""
        if self.closed:
            return
        if error := streams.write(sys.stdout, text + "\n"):
            self.closed = True
            if not isinstance(error, BrokenPipeError):
                self.warn(f"Standard output cannot be written: {error.strerror}. What follows is not shown.")

    def say(self, text: str) -> None:
        """Tell a person something that is no result."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Tell a person something that they must know, also when they want it quiet."""
        self.show([fitted(text, sys.stderr)])

    def show(self, lines: Iterable[str]) -> None:
        """Show a person lines that have their form already."""
        streams.write(sys.stderr, "\n".join(lines) + "\n")

    def tell(self, text: str) -> None:
        """Print a result that is prose."""
        self.print(fitted(text, sys.stdout))


# What a terminal would obey instead of showing it, tabs and line ends apart.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Prose:
    """Writes prose as it streams in. A word is written once it is whole: in a terminal, no line ends within one.

    What is no terminal gets everything as it comes. A reader that goes away ends the output, never the work.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._column = 0
        self._gap = ""
        self._word = ""

    def write(self, text: str) -> None:
        """Write a piece, but for its last word, which may go on."""
        text = _CONTROL.sub("", text)
        if self._stream.isatty():
            text = "".join(map(self._taken, re.findall(r"\n|[^\S\n]+|\S+", text)))
        elif text:
            self._column = 0 if text.endswith("\n") else 1
        streams.write(self._stream, text)

    def end(self) -> None:
        """Write what is left, and end the line if one has been begun."""
        word = self._whole_word()
        streams.write(self._stream, word + ("\n" if self._column else ""))
        self._column, self._gap = 0, ""

    def _taken(self, part: str) -> str:
        """Take a part of a text; returns what can be written now."""
        if part.strip():
            self._word += part
            return ""
        word = self._whole_word()
        if part == "\n":
            self._column, self._gap = 0, ""
            return word + "\n"
        self._gap += part
        return word

    def _whole_word(self) -> str:
        """Return the word that has ended, behind its gap or on a new line."""
        word, gap = self._word, self._gap
        if not word:
            return ""
        if self._column and self._column + len(gap) + len(word) > width():
            self._column, gap = 0, ""
            word = "\n" + word
        self._column += len(gap) + len(self._word)
        self._gap = self._word = ""
        return gap + word


def width() -> int:
    """How many columns there are."""
    return shutil.get_terminal_size((80, 24)).columns


def fitted(text: str, stream: TextIO) -> str:
    """Wrap prose to the terminal; ids and addresses stay whole, and so do indented lines, which are to be copied.

    What is no terminal gets its lines unbroken.
    """
    if not stream.isatty():
        return text
    return "\n".join(
        line if line.startswith("  ") else textwrap.fill(line, width(), break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def colored(stream: TextIO) -> bool:
    """Whether to use colour: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, code: str, stream: TextIO) -> str:
    """Colour a text where colours are wanted. ``code`` is an ANSI colour, such as 2 for dim."""
    return f"\033[{code}m{text}\033[0m" if colored(stream) else text


def age(batch: MessageBatch) -> str:
    """How long ago a batch was created."""
    return facts(batch).age


def _date(time: datetime) -> str:
    return f"{time.astimezone():%m-%d %H:%M}"


_HEADS = {
    "list": f"{'ID':<33} {'STATUS':<11} {'REQUESTS':>8} {'CREATED':<11} {'AGE':>11}",
    "wait": f"{'ID':<33} {'STATUS':<11} {'FOR':>11} {'REQUESTS':>8} {'ENDS BY':<11}",
}


def _wide() -> bool:
    return width() >= WIDTH_OF_A_TABLE


def _status(batch: MessageBatch, stream: TextIO) -> str:
    """The status, painted, and filled up to its column where there are columns."""
    shown = f"{facts(batch).status:<11}" if _wide() else facts(batch).status
    return paint(shown, _COLORS.get(batch.processing_status, "0"), stream)


def row(batch: MessageBatch, stream: TextIO) -> str:
    """One batch in a line or, where the terminal is narrow, in three."""
    status, size, created = _status(batch, stream), f"{batch.request_counts.total:,}", _date(batch.created_at)
    if _wide():
        return f"{facts(batch).id:<33} {status} {size:>8} {created:<11} {age(batch):>11}"
    return f"{facts(batch).id}\n  {status}, {size} requests,\n  {created} ({age(batch)} ago)"


def table(batches: Iterable[MessageBatch], stream: TextIO) -> Iterable[str]:
    """Yield the lines of a table, one batch at a time."""
    for number, batch in enumerate(batches):
        if number == 0 and _wide():
            yield paint(_HEADS["list"], "1", stream)
        yield row(batch, stream)


def interactive() -> bool:
    """Whether there is a person at a terminal who can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def confirm(question: str) -> bool:
    """Ask a person for a yes. Anything else is a no; an interruption passes on."""
    streams.write(sys.stderr, f"{fitted(question, sys.stderr)} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def mark(*, well: bool) -> str:
    """Mark a finding as good or bad."""
    try:
        "✓✗".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        signs = ("ok", "FAILED")
    else:
        signs = ("✓", "✗")
    return paint(signs[0], "32", sys.stdout) if well else paint(signs[1], "31", sys.stdout)


@contextlib.contextmanager
def watching(state: "WaitState", *, quiet: bool) -> "Iterator[Callable[[WaitState], None]]":
    """Show on standard error how waiting goes: live lines in a terminal, else a line for each change.

    Yields what is to be called after each look at the batches.
    """
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live(state) as changed:
            yield changed
    else:
        told: dict[str, str] = {}

        def changed(state: "WaitState") -> None:
            states = {facts(batch).id: facts(batch).status for batch in state.batches.values()}
            states["trying again:"] = str(state.trouble or "")
            for what, now in states.items():
                if now and told.get(what) != now:
                    streams.write(sys.stderr, f"{what} {now}\n")
            told.update(states)

        yield changed


@contextlib.contextmanager
def _live(state: "WaitState") -> "Iterator[Callable[[WaitState], None]]":
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    began = time.monotonic()

    def picture() -> Group:
        elapsed = int(time.monotonic() - began)
        lines = [paint(_HEADS["wait"], "1", sys.stderr)] if _wide() else []
        lines += [_live_row(name, state.batches.get(name)) for name in state.pending]
        lines.append(f"waiting {elapsed // 60}:{elapsed % 60:02d}; the API tells no progress before the end")
        if state.trouble:
            lines.append(f"trying again: {state.trouble}")
        return Group(*(Text.from_ansi(line, overflow="fold") for line in lines))

    console = Console(stderr=True, highlight=False)
    with Live(picture(), console=console, refresh_per_second=4, transient=True, get_renderable=picture) as live:

        def changed(now: "WaitState") -> None:
            nonlocal state
            state = now
            live.refresh()

        yield changed


def _live_row(name: str, batch: MessageBatch | None) -> str:
    """One batch that is waited for; of its counts, what is known before the end."""
    if batch is None:
        return f"{name} …"
    status, elapsed = _status(batch, sys.stderr), since(batch.cancel_initiated_at or batch.created_at, batch)
    counts = batch.request_counts
    size = f"{counts.finished:,}/{counts.total:,}" if counts.finished else f"{counts.total:,}"
    latest = _date(batch.expires_at) if batch.expires_at > batch.as_of else ""
    if _wide():
        return f"{facts(batch).id:<33} {status} {elapsed:>11} {size:>8} {latest:<11}".rstrip()
    return f"{facts(batch).id}\n  {status} for {elapsed},\n  {size} requests{f', ends by {latest}' if latest else ''}"


def pick(batches: Sequence[MessageBatch]) -> str:
    """Let a person choose a batch with the arrow keys or by number; returns its id. An interruption passes on."""
    import questionary
    from prompt_toolkit.output import create_output

    numbered = len(batches) <= 9
    detail = " {} {:>7,} {:>11}" if _wide() else "\n      {} {:,}, {}"
    choices = [
        questionary.Choice(
            facts(batch).id + detail.format(facts(batch).status, batch.request_counts.total, age(batch)),
            value=batch.id,
            shortcut_key=str(number) if numbered else None,
        )
        for number, batch in enumerate(batches, 1)
    ]
    chosen: str = questionary.select(
        "Cancel which message batch?" + (" (id, status, requests, age)" if _wide() else ""),
        choices=choices,
        use_shortcuts=numbered,
        instruction="\n  arrow keys or number, Enter; Ctrl-C: none" if _wide() else "\n  Enter; Ctrl-C: none",
        output=create_output(stdout=sys.stderr),  # standard output is for results, and may be a file
        erase_when_done=True,  # what is canceled is told next, with its id whole
    ).unsafe_ask()
    return chosen
