"""Reading JSON Lines that arrive in pieces."""

import json
from collections.abc import Iterator
from io import BytesIO
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


def identity(custom_id: str) -> int:
    """Return 61 bits that stand for a custom_id within this process: 1,000,000 ids as texts would fill 60 MB."""
    return hash(custom_id) & (2**61 - 1)


def pieces(file: Any) -> Iterator[bytes]:
    """Read a file in pieces; the last one is empty, for ``Lines`` to know the end."""
    while piece := file.read(2**18):
        yield piece
    yield b""


class Lines:
    """Cuts what arrives in pieces into lines."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece; return the lines that it completes, each with its end. An empty piece is the end of all."""
        lines = BytesIO(piece or b"\n").readlines()  # a third of the time of split
        if not lines[0].endswith(b"\n"):
            self._held.append(piece)
            return []
        lines[0] = b"".join((*self._held, lines[0]))
        self._held = [] if lines[-1].endswith(b"\n") else [lines.pop()]
        return lines
