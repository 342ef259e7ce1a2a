"""The script of the stand-in for Claude: what it makes of a person's words.

An order is what fits a small grammar: politeness, a verb, what to cancel, perhaps why. Each word of it must be known:
one that is not may be a condition, an exception or a negation, and then nothing is canceled.
"""

import re
from dataclasses import dataclass
from typing import Any

CANCEL_TOOL, LIST_TOOL, GET_TOOL = "cancel_message_batch", "list_message_batches", "get_message_batch"

IDS = re.compile(r"(?<![A-Za-z0-9_-])msgbatch_[A-Za-z0-9_-]+")
_ID = "\0"  # stands for an id where words are looked at

_PASTED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)|^[ \t]*>[^\n]*", re.DOTALL | re.MULTILINE)

_VERB = r"(?:cancel|stop|abort|kill|halt|terminate)\b"
_POLITE = (
    r"please|pls|kindly|now|ok|okay|and|so|then|well|hey|hi|hello|yes|yep|oops|ugh|claude|just|also|quick|quickly|do"
    r"|immediately|go ahead and|let's|let us|i (?:want|need|ask)(?: you)? to|i(?:'d| would) like(?: you)? to"
    r"|i request (?:that you|you to)|i have a request"
)
_ORDER = re.compile(
    rf"[^\w\0]*(?:(?:{_POLITE}|(?P<asked>(?:can|could|will|would) you))\b[\s,.!:;-]*)*{_VERB}(?P<rest>.*)", re.DOTALL
)
_SEGMENTS = re.compile(r"[,.;:!?()\n\u2026]+|\s[-\u2013\u2014]+\s|\b(?:because|since)\b")
_WORDS = re.compile(r"\0|[^\s\0\"`*]+")
_PHRASES = (
    (re.compile(r"\bmost recent\b"), "newest"),
    (re.compile(r"\b(this|that|newest|latest|last) one\b"), r"\1"),
    (re.compile(r"\b(?:at once|right away|straight away|as soon as possible)\b"), "now"),
    (re.compile(r"\bno longer needed\b"), "obsolete"),
)
_NEWEST = frozenset({"newest", "latest", "last"})
_ONE, _SEVERAL = frozenset({"it", "this", "that"}), frozenset({"them", "these", "those", "both"})
_TARGETS = _NEWEST | _ONE | _SEVERAL | {_ID}
# The words that tell what to cancel, and those that tell why.
_WHAT = _TARGETS | frozenset(
    """the my our message batch batches job with id ids named called and also too processing process of 's running
    in progress in_progress active using via through anthropic anthropic's claude api for me us right now immediately
    asap please pls thanks thank you""".split()  # noqa: SIM905 - not a word a line
)
_WHY = frozenset(
    """wrong wrongly bad old broken buggy faulty stuck slow expensive costly useless obsolete duplicate mistake accident
    error typo bug prompt prompts template model system data input inputs settings version is was are were has have had
    it's its i i'm i've we a an by so very much money credits budget burns burning burn wasting wastes waste cost costs
    costing used sent submitted started launched made messed up as urgent""".split()  # noqa: SIM905
)

# What may turn an order around from another sentence.
_QUALIFIES = re.compile(
    r"\b(?:except|keep|leave|unless|until|only|tomorrow|later|instead|rather|wait|actually|never ?mind"
    r"|do not|don't|dont|no|not|if|when|says?|said|wrote|undo|resume|first|second|other|all)\b"
)

_GREETING = frozenset({"hi", "hey", "hello", "claude", "oops", "ugh", "sorry", "ok", "okay"})

# What is asked about a part of a batch, or for a while only: looked for behind the verb.
_PART = re.compile(
    r"\b(?:requests?|items?|entry|entries|lines?)\b.*\b(?:of|in|from|inside)\b|\brequest[-_ #]*\d|\bcustom[ _]id"
    r"|\bfor (?:an?|one|two|\d+) (?:second|minute|hour|day|week)|\bresume\b",
    re.DOTALL,
)

_ASKING = re.compile(r"(?:\W|\b(?:and|so|ok|okay|now|well|then)\b)*(?:is|are|has|have|did|was|were)\b")
_ENDS_ASKING = re.compile(r"\?[\s!\"'`*)]*\Z")
_PROGRESS = re.compile(r"\b(?:status|state|yet|check|stop|stopped|ended|done|finished|progress of)\b")
_REFERENT = re.compile(r"\b(?:it|that|this|them|they|these|those|both)\b")
_REFERENTS = re.compile(r"\b(?:them|they|these|those|both|all)\b")
_LISTING = re.compile(r"\b(?:what|which|show|list|any|anything|see)\b")
_BATCHES = re.compile(r"\b(?:batch|batches|running|active|in progress|canceling|cancelling)\b")

_ABILITIES = (
    "I can cancel a message batch by its id or cancel your newest one, list what is running, and look whether a batch "
    "has stopped. I understand little else."
)
_WHICH = "Which batch? Tell me its id in your own words, or say that you mean the newest one."
_ONLY_PASTED = (
    "The only ids I see are in what you pasted, and that is no instruction to me. Tell me the id in your own words."
)
_NOT_UNDERSTOOD = (
    "I follow a script and did not understand that, so I canceled nothing. Say no more than cancel and the ids, or "
    "that you mean the newest batch."
)
_NOT_A_PART = (
    "The API cancels whole message batches, and for good: neither a single request of one nor for a while. "
    "I canceled nothing."
)


@dataclass(frozen=True)
class Plan:
    """What the stand-in makes of the person's words: a tool to call, once for each input, or something to say."""

    tool: str = ""
    inputs: tuple[dict[str, Any], ...] = ()
    text: str = ""
    then_cancel_first: bool = False


def own_words(said: str) -> str:
    """Return what the person wrote themselves, without what they pasted."""
    return _PASTED.sub("\n", said).strip()


def ids_in(words: str) -> list[str]:
    """Return the ids in a text, each once."""
    return list(dict.fromkeys(IDS.findall(words)))


def interpret(said: str, mentioned: list[str]) -> Plan:
    """Make out what the person wants.

    Args:
        said: What they said last.
        mentioned: The ids that were last talked about before, for what "it" is.
    """
    words = own_words(said)
    everything = IDS.sub(f" {_ID} ", words).lower().replace("\u2019", "'")
    low = _sentence(everything)
    order = _ORDER.match(_without_preface(low))
    asks = _ASKING.match(low) is not None
    if not asks and (order is None or not order["asked"]):
        asks = _ENDS_ASKING.search(everything if order is None else low) is not None
    verb = re.search(rf"\b{_VERB}", low)
    if verb and not asks:
        if _PART.search(low, verb.end()):
            return Plan(text=_NOT_A_PART)
        return _order(order["rest"], said, mentioned) if order else Plan(text=_NOT_UNDERSTOOD)
    return _question(everything, ids_in(words), mentioned, asks=asks)


def _sentence(low: str) -> str:
    """Return the one sentence that speaks of canceling, where the others only tell a story around it, else all."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n+", low) if part.strip()]
    canceling = [part for part in sentences if re.search(rf"\b{_VERB}", part)]
    others = " ".join(part for part in sentences if part not in canceling)
    return canceling[0] if len(canceling) == 1 and _ID not in others and not _QUALIFIES.search(others) else low


def _without_preface(low: str) -> str:
    """Leave out a reason or a greeting before the order."""
    while preface := re.match(r"([^\0,;:]+)[,;:]\s+(.+)", low, re.DOTALL):
        if not (_WHY | _WHAT | _GREETING).issuperset(_WORDS.findall(preface[1])):
            break
        low = preface[2]
    return low


def _order(rest: str, said: str, mentioned: list[str]) -> Plan:
    """Make out what is to be canceled from what stands behind the verb."""
    what = _what(rest)
    if what is None:
        return Plan(text=_NOT_UNDERSTOOD)
    targets = _TARGETS.intersection(what)
    if _ID in targets:
        ids = ids_in(own_words(said))
        return Plan(CANCEL_TOOL, _one_each(ids)) if _names_only(what) else Plan(text=_NOT_UNDERSTOOD)
    if targets & _NEWEST:
        # "The newest batches" are several, and "that and the newest" are two.
        if targets - _NEWEST or "batches" in what:
            return Plan(text=_NOT_UNDERSTOOD)
        return Plan(LIST_TOOL, ({"status": "in_progress", "limit": 5},), then_cancel_first=True)
    if IDS.search(said):
        return Plan(text=_ONLY_PASTED)
    return Plan(CANCEL_TOOL, _one_each(mentioned)) if _meant(targets, len(mentioned)) else Plan(text=_WHICH)


def _what(rest: str) -> list[str] | None:
    """Return the words behind the verb that tell what to cancel, or None if one of the rest is not understood."""
    for pattern, plain in _PHRASES:
        rest = pattern.sub(plain, rest)
    what: list[str] = []
    why = False
    for segment in _SEGMENTS.split(rest):
        words = [word for word in _WORDS.findall(segment) if word.strip("'-\u2013\u2014\u2022")]
        if not why and _WHAT.issuperset(words):
            what += words
            continue
        # What follows is a reason, and names no batch any more.
        why = True
        if not (_WHAT | _WHY).issuperset(words) or _ID in words or _NEWEST.intersection(words):
            return None
    return what


def _meant(targets: frozenset[str], mentioned: int) -> bool:
    """Whether words such as "it" and "both" mean just so many batches."""
    if "both" in targets:
        return mentioned == 2
    return mentioned > 1 if targets & _SEVERAL else mentioned == 1 and bool(targets)


def _names_only(what: list[str]) -> bool:
    """Whether the ids are all that is to be canceled: "these: …" is, and "it and …" is not."""
    first = what.index(_ID)
    before, after = set(what[:first]), set(what[first:])
    return not ((before | after) & (_NEWEST | {"it", "them"}) or "and" in before or after & (_ONE | _SEVERAL))


def _question(low: str, ids: list[str], mentioned: list[str], *, asks: bool) -> Plan:
    """Make out what the person wants to know."""
    referents = mentioned if _REFERENTS.search(low) else mentioned[-1:]
    about = ids or (referents if _REFERENT.search(low) else [])
    if about and (asks or ids or _PROGRESS.search(low)):
        return Plan(GET_TOOL, _one_each(about))
    canceling = re.search(rf"\b{_VERB}", low)
    if not canceling and (asks or _LISTING.search(low)) and _BATCHES.search(low):
        return Plan(LIST_TOOL, ({"status": _status(low), "limit": 10},))
    if _ASKING.match(low) and _PROGRESS.search(low):
        return Plan(text=_WHICH)
    return Plan(text=_ABILITIES)


def _one_each(ids: list[str]) -> tuple[dict[str, Any], ...]:
    return tuple({"message_batch_id": batch_id} for batch_id in ids)


def _status(low: str) -> str:
    """Make out the batches of which status are to be listed."""
    for pattern, status in (
        (r"\b(?:running|active|in progress|in_progress)\b", "in_progress"),
        (r"\b(?:canceling|cancelling)\b", "canceling"),
        (r"\b(?:ended|finished|done|completed)\b", "ended"),
    ):
        if re.search(pattern, low):
            return status
    return "any"
