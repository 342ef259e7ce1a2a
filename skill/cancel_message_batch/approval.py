"""Named or confirmed: which batches a person has asked to cancel in their own words.

An id that a person wrote is theirs to cancel at once. An id that only stands in something they pasted (a fence, a
quotation, lines of a log) is not an instruction, and neither is one that a tool result contains: those need a yes.
Where it is not clear, this errs towards asking: a question costs a second, a wrong cancellation a batch.
"""

import re

from .models import ID_PREFIX

_ID = re.compile(rf"(?<![A-Za-z0-9_-]){ID_PREFIX}[A-Za-z0-9_-]+")
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
_QUOTATION = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|`[^`]*`|(?<!\w)\'[^\'\n]*\'(?!\w)', re.DOTALL)
_SEPARATORS = re.compile(r"(?:[\s\-*•,;:.)\d]|\band\b|\bor\b)*")
_LOG_LINE = re.compile(
    r"^\s*(?:[>|$#{}]|\[|\d{4}-\d\d-\d\d|\d\d:\d\d|[A-Z]{3} +\d+ \d\d:|\"|at \w|File \")"
    r"|\b(?:DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE)\b"
    r"|\w+=\S+.*\w+=\S|\"\w+\"\s*:|\S\t\S|\S {3,}\S"
)
_MANY_LINES = 3
_LONG_LINE = 2000


def named_ids(message: str) -> set[str]:
    """Return the message batch ids that a person wrote in their own words in a message."""
    own = _FENCE.sub("\n", message)
    own = _QUOTATION.sub(lambda quoted: quoted.group()[1:-1] if _only_ids(quoted.group()[1:-1]) else " ", own)
    lines = [line for line in own.splitlines() if line.strip()]
    if sum(not _only_ids(line) for line in lines) > _MANY_LINES:
        lines = [lines[0], lines[-1]]  # most likely a paste, with the person's words before or after it
    lines = [line for line in lines if len(line) <= _LONG_LINE and not _LOG_LINE.search(line)]
    return set(_ID.findall("\n".join(lines)))


def _only_ids(text: str) -> bool:
    """Whether a text is nothing but ids, bullets and separators: a list that is the person's own."""
    rest, ids = _ID.subn(" ", text)
    return ids > 0 and _SEPARATORS.fullmatch(rest) is not None
