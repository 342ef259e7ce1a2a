"""HTTP/1 messages as they pass by: their heads, and where their bodies end. Nothing here touches the network."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

LONGEST_HEAD = 2**16  # bytes

# What holds for one connection only (RFC 9110, 7.6.1). Transfer-Encoding stays, because bodies pass as they are framed.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"upgrade", b"http2-settings"}
)
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*)")


class BadMessageError(Exception):
    """What came is not an HTTP/1 message."""


@dataclass(frozen=True)
class Head:
    """The first line and the headers of a request or of an answer.

    Args:
        start: The first line, in its three parts.
        headers: Names as they came, and values.
    """

    start: tuple[bytes, bytes, bytes]
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def parse(cls, raw: bytes) -> "Head":
        """Read a head.

        Raises:
            BadMessageError: It is not one of HTTP/1.
        """
        first, *lines = raw.rstrip(b"\r\n").replace(b"\r\n", b"\n").split(b"\n")
        one, two, three, *_ = (*first.split(b" ", 2), b"", b"")
        matches = [_HEADER.fullmatch(line.rstrip(b" \t")) for line in lines]
        if not (one.startswith(b"HTTP/1.") or three in {b"HTTP/1.0", b"HTTP/1.1"}) or None in matches:
            raise BadMessageError
        return cls((one, two, three), tuple((match[1], match[2]) for match in matches if match))

    def get(self, name: bytes) -> bytes:
        """Return the value of a header; several are joined, none is empty."""
        return b", ".join(value for other, value in self.headers if other.lower() == name)

    def words(self, name: bytes) -> set[bytes]:
        """Return the words of a header that is a list, in lower case."""
        return {word.strip().lower() for word in self.get(name).split(b",")} - {b""}

    @property
    def status(self) -> int:
        """The status of an answer."""
        if not re.fullmatch(rb"[1-9]\d\d", self.start[1]):
            raise BadMessageError
        return int(self.start[1])

    @property
    def stays_open(self) -> bool:
        """Whether the sender keeps the connection for another message."""
        return b"HTTP/1.1" in self.start and b"close" not in self.words(b"connection")

    def onward(self, replaced: dict[bytes, bytes], *, start: tuple[bytes, bytes, bytes] | None = None) -> bytes:
        """Return the head as it goes on: without what holds for one connection, and with these headers replaced."""
        dropped = _HOP_BY_HOP | (self.words(b"connection") - _FRAMING)
        if b"transfer-encoding" in (names := {name.lower() for name, _ in self.headers}):
            dropped |= {b"content-length"}  # the other one decides (RFC 9112, 6.3)
        lines = [b" ".join(start or self.start)]
        lines += [
            b"%b: %b" % (name, replaced.get(name.lower(), value))
            for name, value in self.headers
            if name.lower() not in dropped
        ]
        lines += [b"%b: %b" % item for item in replaced.items() if item[0] not in names or item[0] in dropped]
        return b"\r\n".join([*lines, b"", b""])


class Body:
    """Finds the end of a body while its bytes pass by as they are.

    Args:
        left: How many bytes it has; None for one that only the end of the connection ends.
        chunked: Whether it is framed in chunks instead.
        content: Called with the bytes themselves, without the framing.
    """

    def __init__(
        self, left: int | None = 0, *, chunked: bool = False, content: Callable[[bytes], object] | None = None
    ) -> None:
        self.until_close = left is None and not chunked
        self.ended = left == 0 and not chunked
        self._chunked = chunked
        self._left = left or 0
        self._content = content
        self._line = b""
        self._last = False

    def take(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body.

        Raises:
            BadMessageError: The chunks are not framed as they must be.
        """
        if self._chunked:
            return self._take_chunks(data)
        taken = len(data) if self.until_close else min(self._left, len(data))
        if self._content:
            self._content(data[:taken])
        self._left -= taken
        self.ended = not self.until_close and not self._left
        return taken

    def _take_chunks(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.ended:
            if self._left:  # of a chunk with its line end
                step = min(self._left, len(data) - at)
                if self._content and self._left > 2:
                    self._content(data[at : at + min(step, self._left - 2)])
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if self._line.endswith(b"\n"):
                self._take_line(self._line.strip())
                self._line = b""
            elif len(self._line) > LONGEST_HEAD:
                raise BadMessageError
        return at

    def _take_line(self, line: bytes) -> None:
        if self._last:  # trailers, up to an empty line
            self.ended = not line
            return
        size = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
            raise BadMessageError
        self._left = int(size, 16)
        self._last = not self._left
        self._left += 2 * (not self._last)


def body_of(head: Head, content: Callable[[bytes], object] | None = None, *, otherwise: int | None = 0) -> Body:
    """Return the body that follows a head.

    Args:
        head: The head.
        content: Called with the body's bytes, without the framing.
        otherwise: Its length where the head says nothing.

    Raises:
        BadMessageError: The head gives no length that can be used.
    """
    codings = head.get(b"transfer-encoding").lower()
    if codings:
        if codings.rpartition(b",")[2].strip() == b"chunked":
            return Body(chunked=True, content=content)
        if otherwise == 0:  # the length of a request would not be known
            raise BadMessageError
        return Body(None, content=content)
    if length := head.get(b"content-length"):
        if not re.fullmatch(rb"\d{1,18}", length):
            raise BadMessageError
        return Body(int(length), content=content)
    return Body(otherwise, content=content)


def narrowed(accepted: bytes, known: Collection[bytes]) -> bytes:
    """Return the content codings of an Accept-Encoding header that we can read."""
    codings = [coding.strip() for coding in accepted.split(b",")]
    return b", ".join(c for c in codings if c.partition(b";")[0].strip().lower() in known) or b"identity"
