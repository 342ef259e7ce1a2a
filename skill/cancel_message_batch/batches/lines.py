"""Reading JSON Lines that arrive in pieces."""

import json
from typing import Any

from pydantic_core import from_json


def parsed(line: bytes | str) -> Any:
    """Parse one JSON text.

    ``from_json`` is two to four times as fast as ``json``, but refuses half an emoji and deep nesting.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        return from_json(line, cache_strings="keys")
    except ValueError:
        try:
            return json.loads(line)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


ID_BITS = 2**61 - 1


def identity(custom_id: str) -> int:
    """Return 61 bits that stand for a custom_id within this process: 1,000,000 ids as texts would fill 60 MB."""
    return hash(custom_id) & ID_BITS


class Lines:
    """Cuts what arrives in pieces into lines."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece; return the lines that it completes, without their ends."""
        lines = piece.split(b"\n")
        if len(lines) == 1:
            self._held.append(piece)
            return []
        if self._held:
            self._held.append(lines[0])
            lines[0] = b"".join(self._held)
        self._held = [lines.pop()]
        return lines

    def rest(self) -> bytes:
        """Return what came after the last line's end."""
        return b"".join(self._held)
