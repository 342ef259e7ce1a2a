"""Standard streams may be closed or full, or their reader may have gone. None of that stops the work."""

import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Put the null device where a standard stream was closed (``>&-``) before we started."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It stays open as long as the process lives. Not every command needs pathlib.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


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
