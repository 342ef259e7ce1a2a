"""Named or confirmed: which batches a person has asked to cancel in their own words.

An id that a person wrote is theirs to cancel at once. An id that only stands in something they pasted (a fence, a
quotation, lines of a log) is not an instruction, and neither is one that a tool result contains, or that they wrote in
a question or in order to spare it: those need a yes. Where it is not clear, this errs towards asking: a question costs
a second, a wrong cancellation a batch.
"""

import re
from collections.abc import Iterator

from cancel_message_batch.api.models import ID_PREFIX

_ID = re.compile(rf"(?<![A-Za-z0-9_-]){ID_PREFIX}[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*")

# What is pasted, by its marks.
_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_CLOSING_TAG = re.compile(r"</([A-Za-z][\w-]*)>")
_QUOTATION = re.compile(
    r"\"[^\"]*\"|`[^`]*`|“[^“”]*”|”[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|»[^«»]*«|‹[^‹›]*›|「[^「」]*」|‘[^‘’]*’(?!\w)"
    r"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){0,500}'(?!\w)"
)
_LOG_LINE = re.compile(
    r"^\s*(?:[>|{}]|[$#] |\[\d|\d{4}-\d\d-\d\d|\d\d?[:/]\d\d|[A-Z][A-Za-z]{2} +\d+ \d\d:|at [\w.$<>]+\(|File \""
    r"|[\w.-]+ +\| |\W*(?:DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE)\b)"
    r"|\w=\S*|\w\(|\"\w+\"\s*:|\S\t\S|\S {3,}\S|\w(?:Error|Exception)\b"
    rf"|{ID_PREFIX}\w+[ ,]+(?:in_progress|canceling|ended)\b",
)
_SEPARATORS = re.compile(r"(?:[\s\-*•,;:.)\d!]|\band\b|\bor\b)*")
_MANY_LINES = 3
_LONG_LINE = 2000

# What makes an order, and what makes something else of the same words.
_VERB = r"\b(?:cancel|stop|abort|kill|halt|terminate|end|interrupt|drop|nuke)\b"
_NOT = r"\b(?:do|does|did|wo|ca|is|are|was|were|should|must|has|have|had|would|could)n['’]?t\b"
_ORDER = re.compile(_VERB, re.IGNORECASE)
_ORDER_FIRST = re.compile(rf"[^\w>|]*(?:[a-z]+\W+){{0,2}}?{_VERB}", re.IGNORECASE)
_ASKED_FOR = re.compile(
    r"\W*(?:(?:please|hey|hi|ok(?:ay)?|so|and)\W+)*"
    r"(?:can|could|would|will)(?:n['’]t)? (?:you|we|someone)\b|\W*(?:kannst|könntest|können|peux|pouvez|puedes|podr)",
    re.IGNORECASE,
)
_SPARED = re.compile(
    r"\b(?:not|never|no|neither|nor|except\w*|excluding|besides|but|without|instead|rather|keep|leave|spare|skip|let)\b"
    rf"|{_NOT}|\b(?:nicht|kein\w*|außer|ausser|ohne|pas|sauf|excepto|salvo|menos)\b",
    re.IGNORECASE,
)
_NO_ORDER = re.compile(
    r"\b(?:not|never|no need|no circumstances|nobody|without|avoid|refrain|nicht|if|when|whether|should|unless|until"
    rf"|before|after|undo|how|why|what|who|where|says?|said|wrote|writes?|asks?|asked|told|tells?|reads?)\b|{_NOT}",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:actually|never ?mind|scratch that|forget (?:it|that)|on second thoughts?|hold on)\b"
    r"|\bwait,? (?:no|don)|\bno,? (?:wait|don)",
    re.IGNORECASE,
)


def mentioned_ids(message: str) -> set[str]:
    """Return all message batch ids in a message, whoever wrote them."""
    return set(_ID.findall(message))


def named_ids(message: str) -> set[str]:
    """Return the message batch ids that a person asked to cancel in their own words in a message."""
    if _TAKEN_BACK.search(message):
        return set()
    lines = [line for line in _own_words(message).splitlines() if line.strip()]
    others = [line for line in lines if not _only_ids(line)]
    if len(others) > _MANY_LINES:
        # Most likely a paste, with the person's words before or after it.
        lines = [line for line in lines if line in (others[0], others[-1]) or _only_ids(line)]
    named: set[str] = set()
    asked = introduced = False
    for line in lines:
        if _only_ids(line):
            # Ids below each other belong to what was said above them.
            named |= set(_ID.findall(line)) if introduced or len(others) <= 1 else set()
            continue
        ids = set() if asked or _is_log(line) else set(_named_in(line, alone=len(others) == 1))
        named |= ids
        asked = asked or (line.rstrip().endswith("?") and not _ASKED_FOR.match(line))
        introduced = not asked and not _is_log(line) and _is_order(line)
    return named - set(_spared_in(lines))


def _own_words(message: str) -> str:
    """Leave out what bears the marks of a paste; a quotation of nothing but ids is the person's own."""
    own = message.strip()
    if (whole := _QUOTATION.fullmatch(own)) and own[0] != "`":
        own = whole.group()[1:-1]
    own = _FENCE.sub("\n", own)
    for tag in sorted(set(_CLOSING_TAG.findall(own)))[:20]:
        start, end = own.find(f"<{tag}"), own.rfind(f"</{tag}>")
        own = own[:start] + "\n" + own[end:] if 0 <= start < end else own
    own = _INDENTED.sub(lambda line: line.group() if _only_ids(line.group()) else "", own)
    return _QUOTATION.sub(lambda quoted: quoted.group()[1:-1] if _only_ids(quoted.group()[1:-1]) else " ", own)


def _is_log(line: str) -> bool:
    return len(line) > _LONG_LINE or (_LOG_LINE.search(line) is not None and not _ORDER_FIRST.match(line))


def _clauses(line: str) -> Iterator[str]:
    """Split a line where one thing ends to be said, but for a question, which is one to its end."""
    for sentence in re.split(r"(?<=[.!?])\s+", line):
        if sentence.rstrip().endswith("?"):
            yield sentence
        else:
            yield from re.split(r"[,;!]+\s|\s[-–—]+\s|—", sentence)


def _is_order(clause: str) -> bool:
    """Whether something is to be canceled by these words, and not spared, asked about or told of somebody."""
    verb = _ORDER.search(clause)
    return verb is not None and not _NO_ORDER.search(clause[: verb.start()])


def _named_in(line: str, *, alone: bool) -> Iterator[str]:
    """Yield the ids that a line of the person's orders to cancel; alone, it need not hold a word for it."""
    named = alone
    for clause in _clauses(line):
        if not _only_ids(clause):  # else it goes on with what the clause before it said
            if clause.rstrip().endswith("?"):
                named = bool(_ASKED_FOR.match(clause)) and (alone or _is_order(clause))
            elif _ORDER.search(clause):
                named = _is_order(clause)
            else:
                named = alone and not _SPARED.search(clause) and not _NO_ORDER.search(clause)
        if named:
            yield from (found for found, spared in _ids_in(clause) if not spared)


def _spared_in(lines: list[str]) -> Iterator[str]:
    """Yield the ids that are to be left alone."""
    for line in lines:
        spares = False
        for clause in _clauses(line):
            spares = spares if _only_ids(clause) else False
            for found, spared in _ids_in(clause):
                spares = spares or spared
                if spares:
                    yield found


def _ids_in(clause: str) -> Iterator[tuple[str, bool]]:
    """Yield each id of a clause, and whether a word between the order and the id spares it."""
    verb = _ORDER.search(clause)
    negated = verb is not None and _NO_ORDER.search(clause[: verb.start()]) is not None
    for found in _ID.finditer(clause):
        start = verb.end() if verb and verb.end() <= found.start() else 0
        before = _ID.sub(" ", clause[start : found.start()])
        yield found.group(), negated or _SPARED.search(before) is not None


def _only_ids(text: str) -> bool:
    """Whether a text is nothing but ids, bullets and separators: a list that is the person's own."""
    rest, ids = _ID.subn(" ", text)
    return ids > 0 and _SEPARATORS.fullmatch(rest) is not None
