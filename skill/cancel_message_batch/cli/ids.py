"""Message batch ids from the command line and from standard input."""

import re
import sys
from collections.abc import Sequence

from .exit_codes import UsageError


def read_ids(given: Sequence[str]) -> list[str]:
    """Collect the ids from the arguments and, for ``-``, from standard input, without repetitions.

    Raises:
        UsageError: There is no id on standard input.
    """
    ids: list[str] = []
    for argument in given:
        if argument == "-":
            piped = re.split(r"[\s,\ufeff]+", read_standard_input())  # files of Windows begin with U+FEFF
            ids += [name for name in piped if name]
            if not ids:
                raise UsageError("there is no id on standard input")
        else:
            ids.append(argument.strip())
    return list(dict.fromkeys(ids))


def read_standard_input() -> str:
    """Return all of standard input as text; nothing when it cannot be read."""
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    except OSError:  # it is open for writing only
        return ""
