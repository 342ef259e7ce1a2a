"""How a command ends: its exit codes, and the exceptions that end it early. Imports nothing heavy."""

from collections.abc import Collection
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cancel_message_batch.api.errors import MessageBatchError
    from cancel_message_batch.tools import ToolOutcome


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
EXITS = {0: "done", 1: "the API or the network failed", 2: "wrong usage, or no credential", 130: "interrupted"}

NONE_LIKE_THAT = "--named or --mine: there is no such batch"


class UsageError(Exception):
    """The command line is wrong. The message says why; nothing was sent."""


class Interrupted(Exception):  # noqa: N818 - the user's wish, not an error
    """The user pressed Ctrl-C, and the command has reported what that leaves behind."""


def exit_code(outcome: "ToolOutcome") -> ExitCode:
    """Return the exit code for one outcome."""
    if outcome.error is not None:
        return error_code(outcome.error)
    return ExitCode.NOTHING_TO_CANCEL if outcome.result == "already_ended" else ExitCode.DONE


def error_code(error: "MessageBatchError") -> ExitCode:
    """Return the exit code for an error."""
    from cancel_message_batch.api.errors import InvalidInputError

    return ExitCode.USAGE if isinstance(error, InvalidInputError) else ExitCode.FAILED


def combined(codes: Collection[ExitCode]) -> ExitCode:
    """Combine the codes of several batches: PARTLY if they differ and one is DONE, else the most serious."""
    if ExitCode.DONE in codes and set(codes) != {ExitCode.DONE}:
        return ExitCode.PARTLY
    return min(codes, key=lambda code: (code == ExitCode.PARTLY, code), default=ExitCode.DONE)
