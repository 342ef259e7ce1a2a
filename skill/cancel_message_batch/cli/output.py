"""Results on standard output and messages on standard error."""

import sys
from collections.abc import Iterable

from .terminal import fitted, write


class Output:
    """Prints what a command has to say, in the form that its flags ask for.

    ``closed`` becomes True if standard output takes no more, because its reader has gone (``| head``) or the disk is
    full. That ends the output but never the work. ``incomplete`` becomes True if something was left out, ``nothing``
    if no batch is as asked for or a person said no.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.quiet = quiet
        self.json = json
        self.closed = False
        self.incomplete = False
        self.nothing = False
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    def print(self, text: str) -> None:
        """Print a result as it is."""
        if self.closed:
            return
        if error := write(sys.stdout, text + "\n"):
            self.closed = True
            if not isinstance(error, BrokenPipeError):
                self.warn(f"Standard output cannot be written: {error.strerror}. What follows is not shown.")

    def print_prose(self, text: str) -> None:
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
        write(sys.stderr, "\n".join(lines) + "\n")

    def leave_out(self, text: str) -> None:
        """Say that a result is incomplete, which the exit code says too."""
        self.incomplete = True
        self.warn(text)

    def say_nothing_done(self, text: str) -> None:
        """Say that no batch is as asked for, or that a person said no, which the exit code says too."""
        self.nothing = True
        self.warn(text)
