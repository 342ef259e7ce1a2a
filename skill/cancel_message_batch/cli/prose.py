"""Prose that streams in, written to a terminal with its words kept whole."""

import re
from typing import TextIO

from . import streams
from .terminal import width

# What a terminal would obey or hide instead of showing. Tabs, line ends and the joiners of words and emoji may stay.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    f"{chr(0xE0000)}-{chr(0xE0FFF)}]"  # the plane of tags
)


class Prose:
    """Writes streaming prose. In a terminal, it holds each word back until it is whole, so no line breaks within one.

    A stream that is not a terminal gets every piece at once. A reader that goes away ends the output, never the work.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._column = 0
        self._gap = ""
        self._word = ""

    def write(self, text: str) -> None:
        """Write a piece, except its last word, which may continue in the next piece."""
        text = _CONTROL.sub("", text)
        if self._stream.isatty():
            text = "".join(map(self._add, re.findall(r"\n|[^\S\n]+|\S+", text)))
        elif text:
            self._column = 0 if text.endswith("\n") else 1
        streams.write(self._stream, text)

    def end(self) -> None:
        """Write the last word, and end the line if one has begun."""
        word = self._whole_word()
        streams.write(self._stream, word + ("\n" if self._column else ""))
        self._column, self._gap = 0, ""

    def _add(self, part: str) -> str:
        """Take a word, a gap or a line end; return what can be written now."""
        if part.strip():
            self._word += part
            return ""
        word = self._whole_word()
        if part == "\n":
            self._column, self._gap = 0, ""
            return word + "\n"
        self._gap += part
        return word

    def _whole_word(self) -> str:
        """Return the word that has ended, after its gap or on a new line."""
        word, gap = self._word, self._gap
        if not word:
            return ""
        if self._column and self._column + len(gap) + len(word) > width():
            self._column, gap = 0, ""
            word = "\n" + word
        self._column += len(gap) + len(self._word)
        self._gap = self._word = ""
        return gap + word
