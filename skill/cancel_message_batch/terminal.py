"""What a person sees: text fitted to the terminal, tables, colours, questions."""

import contextlib
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from .models import MessageBatch
from .summary import duration

if TYPE_CHECKING:
    from .waiting import Wait

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
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.closed = True
            # Python flushes once more at exit; that must not fail either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say(self, text: str) -> None:
        """Tell a person something that is no result."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Tell a person something that they must know, also when they want it quiet."""
        try:
            sys.stderr.write(fitted(text, sys.stderr) + "\n")
            sys.stderr.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

    def tell(self, text: str) -> None:
        """Print a result that is prose."""
        self.print(fitted(text, sys.stdout))


def width() -> int:
    """How many columns there are."""
    return shutil.get_terminal_size((80, 24)).columns


def fitted(text: str, stream: TextIO) -> str:
    """Wrap prose to the terminal; ids and addresses stay whole. What is no terminal gets its lines unbroken."""
    if not stream.isatty():
        return text
    return "\n".join(
        textwrap.fill(line, width(), break_long_words=False, break_on_hyphens=False) for line in text.splitlines()
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
    return duration(max((batch.as_of - batch.created_at).total_seconds(), 0))


def row(batch: MessageBatch, *, code: bool = True) -> str:
    """One batch in a line or, where the terminal is narrow, in two."""
    status = f"{batch.processing_status:<11}"
    if code:
        status = paint(status, _COLORS.get(batch.processing_status, "0"), sys.stdout)
    created = f"{batch.created_at.astimezone():%m-%d %H:%M}"
    size = f"{batch.request_counts.total:,}"
    if width() < WIDTH_OF_A_TABLE:
        return f"{batch.id}\n  {status.rstrip()}, {size} requests,\n  {created} ({age(batch)} ago)"
    return f"{batch.id:<33} {status} {size:>8} {created:<11} {age(batch):>11}"


def table(batches: Iterable[MessageBatch]) -> Iterable[str]:
    """Yield the lines of a table, one batch at a time."""
    for number, batch in enumerate(batches):
        if number == 0 and width() >= WIDTH_OF_A_TABLE:
            yield paint(f"{'ID':<33} {'STATUS':<11} {'REQUESTS':>8} {'CREATED':<11} {'AGE':>11}", "1", sys.stdout)
        yield row(batch)


def interactive() -> bool:
    """Whether there is a person at a terminal who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask a person for a yes. Anything else is a no; an interruption passes on."""
    sys.stderr.write(f"{fitted(question, sys.stderr)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def mark(*, well: bool) -> str:
    """Mark a finding as good or bad."""
    return paint("✓", "32", sys.stdout) if well else paint("✗", "31", sys.stdout)


@contextlib.contextmanager
def watching(wait: "Wait", *, quiet: bool) -> "Iterator[Callable[[], None]]":
    """Show on standard error how waiting goes: live lines in a terminal, else a line for each change.

    Yields what is to be called after each look at the batches.
    """
    if quiet:
        yield lambda: None
    elif sys.stderr.isatty():
        with _live(wait) as changed:
            yield changed
    else:
        told: dict[str, str] = {}

        def changed() -> None:
            for name, batch in wait.latest.items():
                if told.get(name) != batch.processing_status:
                    told[name] = batch.processing_status
                    sys.stderr.write(f"{name} {batch.processing_status}\n")
                    sys.stderr.flush()

        yield changed


@contextlib.contextmanager
def _live(wait: "Wait") -> "Iterator[Callable[[], None]]":
    from rich.console import Console, Group  # noqa: PLC0415 - only a person who watches pays for it
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    began = time.monotonic()

    def picture() -> Group:
        elapsed = int(time.monotonic() - began)
        lines = [_live_line(name, wait.latest.get(name)) for name in wait.open]
        lines.append(f"waiting {elapsed // 60}:{elapsed % 60:02d}; the API tells no progress before the end")
        if wait.trouble:
            lines.append(f"trying again: {wait.trouble}")
        return Group(*(Text(line, overflow="fold") for line in lines))

    console = Console(stderr=True, highlight=False)
    with Live(picture(), console=console, refresh_per_second=4, transient=True, get_renderable=picture) as live:
        yield live.refresh


def _live_line(name: str, batch: MessageBatch | None) -> str:
    if batch is None:
        return f"{name} …"
    latest = f"ends by {batch.expires_at.astimezone():%m-%d %H:%M}" if batch.expires_at > batch.as_of else ""
    counts = f"{batch.request_counts.total:,} requests"
    return ", ".join(part for part in (f"{name} {batch.processing_status}", counts, latest) if part)


def pick(batches: Sequence[MessageBatch]) -> list[str]:
    """Let a person choose among batches with the arrow keys or by number; [] when they choose none."""
    import questionary  # noqa: PLC0415 - only a person who picks pays for it

    numbered = len(batches) <= 9
    narrow = width() < WIDTH_OF_A_TABLE
    detail = "\n      {} {:,}, {}" if narrow else " {} {:>7,} {:>11}"
    choices = [
        questionary.Choice(
            batch.id + detail.format(batch.processing_status, batch.request_counts.total, age(batch)),
            value=batch.id,
            shortcut_key=str(number) if numbered else None,
        )
        for number, batch in enumerate(batches, 1)
    ]
    chosen = questionary.select(
        "Cancel which message batch?" + ("" if narrow else " (id, status, requests, age)"),
        choices=choices,
        use_shortcuts=numbered,
        instruction="\n  arrow keys or number, Enter; Ctrl-C: none",
    ).unsafe_ask()
    return [chosen] if chosen else []
