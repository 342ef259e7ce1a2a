"""The file of requests that a batch was made of: JSON Lines, a JSON list, or the body that was posted."""

import codecs
import gzip
import io
import json
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from cancel_message_batch.api.errors import InvalidInputError, clean

from .folder import checksum
from .lines import parsed

_PIECE = 2**18
_LIST = re.compile(r'\s*(?:\{\s*"requests"\s*:\s*)?\[')
_INDENTED = re.compile(r"\s*\{\s*[\r\n]")
_BETWEEN, _BREAK = re.compile(r"[ \t\r\n,]*"), re.compile(r"[\r\n][ \t\r\n]*")
_DECODER = json.JSONDecoder()


class RequestsFile:
    """A file of requests. It is read twice: for the custom_ids before anything is downloaded, then for the requests.

    An InvalidInputError says what is wrong with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = clean(str(path), limit=400)
        self.custom_ids: list[str] = []  # of each request, in the file's order
        self.models: list[str] = []  # of each request; empty where it names none
        self.checksum: dict[str, int] = {}
        self._state: tuple[int, int] | None = None
        for number, line in enumerate(self, 1):
            request = parsed(line)
            custom_id, params = map(request.get, ("custom_id", "params")) if isinstance(request, dict) else ("", "")
            if not isinstance(custom_id, str) or not custom_id or not isinstance(params, dict):
                lacks = "params" if custom_id and isinstance(custom_id, str) else "custom_id"
                fault = "is not JSON" if request is None else f"is not a request: it has no {lacks}"
                raise InvalidInputError(f"request {number:,} of {self.shown} {fault}")
            model = params.get("model")
            self.custom_ids.append(custom_id)
            self.models.append(sys.intern(model) if isinstance(model, str) else "")
        if not self.custom_ids:
            raise InvalidInputError(f"{self.shown} holds no requests")

    def __iter__(self) -> Iterator[bytes]:
        """Yield each request as a line with its end. A file that has changed since it was read first is refused."""
        try:
            now = self.path.stat()
            if not stat.S_ISREG(now.st_mode):
                raise InvalidInputError(f"{self.shown} is not a regular file, and it is read twice")
            before, self._state = self._state, (now.st_size, now.st_mtime_ns)
            if before not in (None, self._state):
                raise InvalidInputError(f"{self.shown} has changed since its requests were counted")
            with self.path.open("rb", buffering=_PIECE) as file:
                if not before:
                    self.checksum = checksum(file)
                    file.seek(0)
                yield from self._each_request(file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInputError(f"{self.shown} is cut short, or is not gzip all through") from error
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{self.shown} is not JSON: it is not UTF-8 text") from error
        except OSError as error:
            raise InvalidInputError(f"{self.shown} cannot be read: {clean(error.strerror or str(error))}") from error

    def _each_request(self, file: Any) -> Iterator[bytes]:
        reader = gzip.GzipFile(fileobj=file) if file.peek(2).startswith(b"\x1f\x8b") else file
        start = reader.read(_PIECE).removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
        reader.seek(0)
        if _LIST.match(start) or _INDENTED.match(start):
            with io.TextIOWrapper(reader, "utf-8", "surrogatepass", newline="") as text:
                yield from self._values(text)
            return
        for line in reader:
            if not line.isspace():
                yield (line if line.endswith(b"\n") else line + b"\n").removeprefix(codecs.BOM_UTF8)

    def _values(self, text: TextIO) -> Iterator[bytes]:
        """Yield the values of a JSON list, of the body's list, or of indented values that follow each other."""
        held = text.read(_PIECE).removeprefix("\ufeff")
        opening = _LIST.match(held)
        at, number, closed = opening.end() if opening else 0, 0, False
        while not closed:
            if between := _BETWEEN.match(held, at):
                at = between.end()
            end = _end_of_value(held, at)
            if opening and held.startswith("]", at):
                closed = True
            elif end:
                number += 1
                # A line break is never inside a JSON string, so the value stays the same.
                yield _BREAK.sub("", held[at:end]).encode("utf-8", "surrogatepass") + b"\n"
                at = end
            elif piece := text.read(max(_PIECE, len(held) - at)):  # a long value is not parsed for each piece
                held, at = held[at:] + piece, 0
            else:
                break
        if not closed and (opening or at < len(held)):
            raise InvalidInputError(f"{self.shown} is not JSON after its request {number:,}")
        while text.read(_PIECE):  # to the end, where a file that is cut short is noticed
            pass


def _end_of_value(text: str, at: int) -> int:
    """Return where the value that begins here ends; 0 when it is not whole yet."""
    try:
        return _DECODER.raw_decode(text, at)[1] if at < len(text) else 0
    except (ValueError, RecursionError):
        return 0
