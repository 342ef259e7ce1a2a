"""The file of requests that a batch was made of: JSON Lines, a JSON list, or the body that was posted."""

import codecs
import gzip
import itertools
import json
import os
import re
import stat
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from cancel_message_batch.api.errors import InvalidInputError, clean

from .lines import Lines, identity, parsed, pieces

_PIECE = 2**18
_LIST = re.compile(r'\s*(?:\{\s*"requests"\s*:\s*)?\[')
_BETWEEN, _BREAK = re.compile(r"[ \t\r\n,]*"), re.compile(r"[\r\n][ \t\r\n]*")
_DECODER = json.JSONDecoder()


class RequestsFile:
    """A file of requests. It is read twice: for the custom_ids before anything is downloaded, then for the requests.

    Args:
        path: The file; it may be compressed with gzip.

    Attributes:
        order: What stands for the custom_id of each request, in the file's order.
        length: The file's size in bytes.
        crc: The CRC-32 of the file's bytes.

    Raises:
        InvalidInputError: The file cannot be read, or is not a file of requests.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = clean(str(path), limit=400)
        self.order = array("Q")
        self._first, self._state = True, (0, 0)
        self.length = self.crc = number = 0
        for number, line in enumerate(self._checked(), 1):
            self.order.append(identity(self._custom_id(line, number)))
        if not number:
            raise InvalidInputError(f"{self.shown} holds no requests")
        self._first = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield each request as a line with its end, as it stands in JSON Lines.

        Raises:
            InvalidInputError: The file has changed since it was read first.
        """
        yield from self._checked()

    def _custom_id(self, line: bytes, number: int) -> str:
        request = None
        try:
            request = parsed(line)
        except ValueError:
            fault = "is not JSON"
        else:
            fault = "is not a request: it has no custom_id"
        custom_id = request.get("custom_id") if isinstance(request, dict) else None
        if not isinstance(custom_id, str) or not custom_id:
            raise InvalidInputError(f"request {number:,} of {self.shown} {fault}")
        return custom_id

    def _checked(self) -> Iterator[bytes]:
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise InvalidInputError(f"{self.shown} is not a regular file, and it is read twice")
            with self.path.open("rb") as file:
                now = os.fstat(file.fileno())
                state = now.st_size, now.st_mtime_ns
                if not self._first and state != self._state:
                    raise InvalidInputError(f"{self.shown} has changed since its requests were counted")
                self._state = state
                yield from self._each(_Summed(file, self) if self._first else file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInputError(f"{self.shown} is cut short, or is not gzip all through") from error
        except OSError as error:
            raise InvalidInputError(f"{self.shown} cannot be read: {clean(error.strerror or str(error))}") from error

    def _each(self, file: Any) -> Iterator[bytes]:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        reader: Any = gzip.GzipFile(fileobj=file, mode="rb") if packed else file
        start = bytes(reader.read(_PIECE))
        if start.startswith(codecs.BOM_UTF8):
            start = start[3:]
        yield from _lines(start, reader) if _begins_with_a_line(start) else self._values(start, reader)

    def _values(self, start: bytes, reader: Any) -> Iterator[bytes]:
        """Yield the values of a JSON list, of the body's list, or of indented values that follow each other."""
        decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        number, closed, text = 0, False, ""
        try:
            text = decoder.decode(start)
            opening = _LIST.match(text)
            at = opening.end() if opening else 0
            while not closed:
                if between := _BETWEEN.match(text, at):
                    at = between.end()
                end = _value(text, at)
                if opening and text[at : at + 1] == "]":
                    closed = True
                elif end is not None:
                    number += 1
                    value = text[at:end]
                    if "\n" in value or "\r" in value:  # never inside a JSON string, so this changes no value
                        value = _BREAK.sub("", value)
                    yield value.encode("utf-8", "surrogatepass") + b"\n"
                    at = end
                elif piece := reader.read(max(_PIECE, len(text) - at)):  # a long value is not parsed for each piece
                    text, at = text[at:] + decoder.decode(piece), 0
                else:
                    break
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{self.shown} is not JSON: it is not UTF-8 text") from error
        if not closed and (opening or at < len(text)):
            raise InvalidInputError(f"{self.shown} is not JSON after its request {number:,}")
        while reader.read(_PIECE):  # to the end, where a file that is cut short is noticed
            pass


class _Summed:
    """Reads a file and keeps its length and CRC-32."""

    def __init__(self, file: IO[bytes], owner: RequestsFile) -> None:
        self._file = file
        self._owner = owner

    def peek(self, size: int) -> bytes:
        peeked: bytes = self._file.peek(size)  # type: ignore[attr-defined]
        return peeked

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._owner.length += len(piece)
        self._owner.crc = zlib.crc32(piece, self._owner.crc)
        return piece


def _begins_with_a_line(start: bytes) -> bool:
    """Return whether this is JSON Lines, and not a list or an indented value."""
    if _LIST.match(start.decode("utf-8", "replace")):
        return False
    return not re.match(rb"\s*\{\s*[\r\n]", start)


def _lines(start: bytes, reader: Any) -> Iterator[bytes]:
    lines = Lines()
    for piece in itertools.chain([start] * bool(start), pieces(reader)):
        for line in lines.feed(piece):
            if not line.isspace():
                yield line


def _value(text: str, at: int) -> int | None:
    """Return where the value that begins here ends; None when it is not whole yet."""
    try:
        return _DECODER.raw_decode(text, at)[1] if at < len(text) else None
    except (ValueError, RecursionError):
        return None
