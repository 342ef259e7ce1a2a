"""How a command ends: its exit codes, and the exceptions that end it early. Imports nothing of ours."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script learns from the exit status."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_TO_CANCEL = 3
    PARTLY = 4
    TIME_UP = 5
    NO_CONSENT = 6
    INTERRUPTED = 130


# What the codes mean for every command. A command adds what they mean for it.
EXITS = {
    0: "done",
    1: "the API or the network failed",
    2: "wrong usage, or no credential",
    130: "interrupted",
}


class UsageError(Exception):
    """The command line is wrong. The message says why; nothing was sent."""


class Interrupted(Exception):  # noqa: N818 - the user's wish, not an error
    """The user pressed Ctrl-C, and the command has already reported what that leaves behind."""
