"""Results on standard output and messages on standard error."""

import sys
from collections.abc import Iterable

from . import streams
from .terminal import fitted


class Output:
    """Prints what a command has to say, in the form that its flags ask for.

    ``closed`` becomes True when standard output takes no more (its reader has gone, as with ``| head``, or the disk
    is full). That ends the output, never the work.

    Args:
        quiet: Print no messages but errors (``--quiet``).
        json: Print results as JSON (``--json``).
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.quiet = quiet
        self.json = json
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

    def tell(self, text: str) -> None:
        """Print a result that is prose."""
        self.print(fitted(text, sys.stdout))

    def say(self, text: str) -> None:
        """Show a message that is not a result, unless the user wants quiet."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Show a message that the user must see, even with ``--quiet``."""
        self.show([fitted(text, sys.stderr)])

    def show(self, lines: Iterable[str]) -> None:
        """Show lines on standard error as they are."""
        streams.write(sys.stderr, "\n".join(lines) + "\n")
