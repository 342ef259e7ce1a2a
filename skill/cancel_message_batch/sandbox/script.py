"""The script of the stand-in for Claude: which messages it understands, and how it responds to them.

A message is understood only as a whole, after typing errors in the script's own words are corrected. So nothing is
canceled after a negation, a quotation or any unknown word. The stand-in finds the batch that is meant and calls the
tool; whether the person is asked before that is up to the program that runs the tool.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

CANCEL_TOOL, LIST_TOOL, GET_TOOL = "cancel_message_batch", "list_message_batches", "get_message_batch"
SAVE_TOOL = "save_message_batch_results"
WHOLE = 50  # batches on a page of a listing that is read to its end


class Row(NamedTuple):
    """A batch as a listing shows it. What the listing does not show is empty or None."""

    id: str
    name: str = ""
    requests: int | None = None
    age: float | None = None  # seconds
    running: bool = True
    line: str = ""


Then = Callable[[list[Row]], "Plan"]


@dataclass(frozen=True)
class Plan:
    """What the stand-in does in response to a message: it calls a tool, once for each input, or says something."""

    tool: str = ""
    inputs: tuple[dict[str, Any], ...] = ()
    text: str = ""
    then: Then | None = None  # what it does about the batches that it lists


class Context(NamedTuple):
    """What the conversation was about before the person's last message."""

    shown: list[list[Row]]  # the batches of each tool call or answer, oldest first
    question: str = ""  # the stand-in's last answer, if it asked which batch to cancel
    canceled: bool = False  # whether its last turn tried to cancel something

    @property
    def it(self) -> list[Row]:
        """The batches that were shown last."""
        return self.shown[-1] if self.shown else []

    @property
    def choice(self) -> list[Row]:
        """The last batches that one could choose from."""
        return next((rows for rows in reversed(self.shown) if len(rows) > 1), [])


# A question starts with one of these, and the batches follow it, one in a line.
WHICH_ONE, THIS_ONE = "Which one shall I cancel?", "Shall I cancel this one?"
_EXAMPLES = "try 'what is running?', 'cancel my newest batch' or 'is it stopped yet?'."
_NOT_UNDERSTOOD = f"I follow a script and did not understand that, so I canceled nothing; {_EXAMPLES}"
_BATCH_ID = r"msgbatch_[A-Za-z0-9_-]+"
_ID_ALONE = re.compile(rf"(?<![A-Za-z0-9_-]){_BATCH_ID}")
_WORD = re.compile(rf"({_BATCH_ID})|([^\s,:]+)")
_IDS = re.compile(r"\bID(?: (?:and )?ID)+\b")
_QUOTED = re.compile(r"\"([^\"\n]+)\"|“([^”\n]+)”|(?<![^\s(])'([^'\n]+)'(?![^\s.,!?])")
_AN_END = re.compile(
    r"\b(yes|yep|yeah|no|nope|ok|okay|sure|hi|hello|hey|thanks|sorry|one)[.!;]+ |[.!;]+ (?=thank|please)"
)
_SHOWN = 10  # batches in an answer
_LONGEST = 300  # characters of a message that is understood, where any number of ids counts as one

# In the patterns below, ID is one or more batch ids and QUOTED a text in quotation marks. All other words are in lower
# case.
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_NUMBERS = ["half an", "a", "an", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_VALUES = dict(zip(_NUMBERS, (0.5, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), strict=True))
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGE = rf"(?P<number>{'|'.join(_NUMBERS)}|\d{{1,6}}) ?(?P<unit>seconds?|s|minutes?|mins?|m|hours?|h|days?|d)"
_OLDER = rf"(?:more than|older than|over) {_AGE}(?: old| ago)?"
_BATCH, _BATCHES = "(?:message )?(?:batch|one|job)", "(?:message )?(?:batch|batches|jobs|job|ones)"
_RUNNING = r"(?: (?:that|which) (?:is|are)(?: still)? running| running)"
_MOST = "newest|latest|most recent|new|oldest|old|biggest|largest|big|large|smallest|small"
_CANCEL = "(?:cancel|stop|abort|kill|halt|terminate)"
_FRONT = (
    "(?:(?:please|now|then|so|also|just|actually|and|hi|hello|hey|claude|yes|yep|yeah|ok|okay|sure|sorry"
    "|(?P<no>no|not that one)|go ahead and|i (?:want|would like|need)(?: you)? to|(?P<asked>can|could|will) you) )*"
)
_TAIL = (
    "(?: (?:please|now|right now|right away|at once|immediately|asap|for me|instead|too|as well|thanks|thank you"
    "|using the anthropic api|(?:because |since )?(?:the (?:system )?prompt (?:is|was) wrong|it is burning money)"
    "|(?:it has the )?wrong (?:system )?prompt))*"
)
_STATE = "(?: (?:still|really|already|running|canceling|canceled|stop|stopped|dead|over|ended|done|finished|yet|now))+"
_YES = "(?:yes|yep|yeah|yup|y|ok|okay|sure|correct|exactly|go ahead|do it|please do)"
_NO = (
    "(?:no|nope|n|never mind|nevermind|forget it|don't|dont|do not|not now|not yet|not that one|neither|none of them"
    "|(?:leave|keep) (?:it|them|that|that one|everything)(?: alone| running)?)"
)

# Which of the tools a message asks for, and for which batch. Without a target, it is "it".
_REQUESTS = [
    (CANCEL_TOOL, rf"{_FRONT}{_CANCEL} (?:the processing (?:of )?)?(?P<target>.+?){_TAIL}"),
    (GET_TOOL, rf"{_FRONT}(?:is|are|has|have|did) (?P<target>.+?){_STATE}"),
    (GET_TOOL, rf"{_FRONT}(?:what is )?(?:the )?status(?: of (?P<target>.+?))?"),
    (
        GET_TOOL,
        rf"{_FRONT}(?:check(?: on)?|show me|how is|how are|how far is|what about) (?P<target>.+?)(?: doing| going)?",
    ),
    (SAVE_TOOL, rf"{_FRONT}(?:what|how much) did (?P<target>.+?) cost"),
    (
        SAVE_TOOL,
        rf"{_FRONT}what (?:did (?:we|i) get|finished)(?: (?:from|of|out of) (?P<target>.+?))?"
        "(?: (?:and )?(?:what|how much) did (?:it|we|that) (?:cost|pay))?",
    ),
    (
        SAVE_TOOL,
        rf"{_FRONT}(?:show|save|get|fetch|download)(?: me)?(?: the| its)? results(?: (?:of|from) (?P<target>.+?))?",
    ),
]
_STATUSES = {"running": "in_progress", "canceling": "canceling", "ended": "ended", "finished": "ended"}
_STATUS = f"(?P<status>{'|'.join(_STATUSES)})"
_LISTINGS = [
    rf"{_FRONT}{words}(?: right now| now| at the moment| please)?"
    for words in (
        rf"(?:what is|is anything|anything)(?: still)? {_STATUS}",
        rf"(?:which|what|how many|are any)(?: {_BATCHES})? are(?: still)? {_STATUS}",
        rf"(?:are there any|what|how many)(?: {_STATUS})? {_BATCHES}(?: (?:are there|do i have))?(?: running)?",
        r"what (?:have i got|do i have)(?: running| going| going on)?",
        rf"(?:list|show)(?: me)?(?: all)?(?: of)?(?: my| the)?(?: {_STATUS})? {_BATCHES}",
    )
]
_OF_WHICH = r"one|(?:running )?batch|of (?:them|these|those|(?:my|the) (?:running )?batches)"
_WHICH = (
    rf"{_FRONT}(?:which|what|what about|and)(?: (?:{_OF_WHICH}))?(?: is)?(?: the| my)? "
    rf"(?P<most>{_MOST}|newer|older|bigger|larger|smaller)(?: running)?(?: {_BATCH}| of them| of all)?"
)
_HELLO = "(?:hi|hello|hey|good (?:morning|evening|afternoon)|there|claude|help|what can you do|how are you)"
_THANKS = "(?:thanks|thank you|thx|great|perfect|good|nice|cool|so much|very much|a lot|for your help|bye|claude)"
_PART = r"custom.?id|(?:single|one|only|half|first|last) (?:of the )?requests?|request-\d+"
_ANSWERS = [
    (
        rf"(?:.* )?(?:pause|resume|undo|{_PART})\b.*",
        "I canceled nothing: a batch cannot be paused, resumed or restored, and no part of it can be canceled alone.",
    ),
    (rf"{_NO}(?: (?:{_NO}|thanks|thank you|please))*", "All right, I leave everything as it is."),
    (rf"{_THANKS}(?: {_THANKS})*", "You are welcome."),
    (rf"{_HELLO}(?: {_HELLO})*", f"Hello! I list, check and cancel message batches; {_EXAMPLES}"),
]
_NOT_IN_A_NAME = re.compile(
    r"\b(?:and|but|except|exept|for|if|in|not|nothing|never|no|of|one|ones|or|that|until|unless|when|which|with|without"
    r"|don't|dont|later|yet|tomorrow|ID|QUOTED)\b|^batch$|^batches$"
)


class _Message(NamedTuple):
    """The person's last message."""

    words: str
    ids: list[str]
    quoted: list[str]
    is_question: bool


class _Meant:
    """Finds the batches that a message means, and plans the tool for them."""

    def __init__(self, tool: str, message: _Message, context: Context) -> None:
        self.tool, self.message, self.context = tool, message, context

    def plan(self, target: str, targets: "_Targets") -> Plan | None:
        """Plan the tool for a target; None for one that is not understood."""
        for pattern, method in targets:
            if match := pattern.fullmatch(target):
                return method(self, match)
        return None

    def known(self, target: re.Match[str]) -> Plan:
        return self._each([Row(batch_id) for batch_id in self.message.ids])

    def it(self, target: re.Match[str]) -> Plan:
        rows = self.context.it
        if not rows:
            return self._find(self._one, WHOLE if self.tool == CANCEL_TOOL else 10)
        return self._each(rows) if self.tool != CANCEL_TOOL and len(rows) <= 5 else self._one(rows)

    def it_if(self, target: re.Match[str]) -> Plan:
        older, known = _seconds(target), {row.id for row in self.context.it}
        return self._find(
            lambda rows: self._fitting(rows, lambda row: _is_older(row, older) and row.id in (known or {row.id}))
        )

    def them(self, target: re.Match[str]) -> Plan:
        rows = [row for row in self.context.it if row.running or self.tool != CANCEL_TOOL]
        return self._each(rows) if rows else self._find(self._one)

    def all(self, target: re.Match[str]) -> Plan:
        older = _seconds(target) if target["number"] else 0.0
        return self._find(lambda rows: self._fitting(rows, lambda row: not older or _is_older(row, older), self._each))

    def most(self, target: re.Match[str]) -> Plan:
        word = target["most"]
        limit = 5 if word in {"newest", "latest", "most recent", "new"} else WHOLE
        return self._find(lambda rows: self._one(_most(word, rows)), limit)

    def ordinal(self, target: re.Match[str]) -> Plan:
        word, rows = target["ordinal"], self.context.choice
        at = _ORDINALS.index(word) if word in _ORDINALS else int(re.sub(r"\D", "", word)) - 1
        if not 0 <= at < len(rows):
            return self._find(lambda found: self._ask(found, "I have not shown you so many"))
        return self._each([rows[at]])

    def other(self, target: re.Match[str]) -> Plan:
        not_it = {row.id for row in self.context.it} if len(self.context.it) == 1 else set()

        def choose(rows: list[Row]) -> Plan:
            return self._fitting(rows, lambda row: row.running and row.id not in not_it)

        return choose(self.context.choice) if self.context.choice else self._find(choose)

    def size(self, target: re.Match[str]) -> Plan:
        unit, wanted = 1000 if target["thousand"] else 1, int(target["size"])
        return self._find(lambda rows: self._fitting(rows, lambda row: round((row.requests or 0) / unit) == wanted))

    def age(self, target: re.Match[str]) -> Plan:
        wanted = _seconds(target)
        near = max(120.0, wanted / 3)
        return self._find(
            lambda rows: self._fitting(rows, lambda row: row.age is not None and abs(row.age - wanted) <= near)
        )

    def mine(self, target: re.Match[str]) -> Plan:
        return self._find(self._one)

    def named(self, target: re.Match[str]) -> Plan | None:
        quoted = self.message.quoted
        name = target["name"] or "".join(quoted)
        if len(quoted) > 1 or ids_in(name) or (target["name"] and _NOT_IN_A_NAME.search(name)):
            return None

        def choose(rows: list[Row]) -> Plan:
            wanted = _as_a_name(name)
            names = {row.id: _as_a_name(row.name) for row in rows if row.name}
            if found := [row for row in rows if names.get(row.id) == wanted]:
                return self._one(found)
            close = set(difflib.get_close_matches(wanted, names.values(), 10, 0.8))
            close |= {other for other in names.values() if set(wanted.split()) <= set(other.split())}
            why = f'No {self._kind} has the name "{name}"'
            if near := [row for row in rows if names.get(row.id) in close]:
                return self._ask(near, why, THIS_ONE if len(near) == 1 else WHICH_ONE)
            return self._ask(rows, why)

        return self._find(choose)

    @property
    def _kind(self) -> str:
        return "running batch" if self.tool == CANCEL_TOOL else "batch"

    def _find(self, choose: Then, limit: int = WHOLE) -> Plan:
        """List the batches that the tool can be used for, and choose among them."""
        status = "in_progress" if self.tool == CANCEL_TOOL else "any"
        return Plan(LIST_TOOL, ({"status": status, "limit": limit},), then=choose)

    def _each(self, rows: list[Row]) -> Plan:
        return Plan(self.tool, tuple({"message_batch_id": row.id} for row in rows))

    def _one(self, rows: list[Row]) -> Plan:
        return self._each(rows) if len(rows) == 1 else self._ask(rows, f"{len(rows)} batches fit")

    def _fitting(self, rows: list[Row], fits: Callable[[Row], bool], use: Then | None = None) -> Plan:
        found = [row for row in rows if fits(row)]
        return (use or self._one)(found) if found else self._ask(rows, "None of these fits")

    def _ask(self, rows: list[Row], why: str, question: str = WHICH_ONE) -> Plan:
        if self.tool != CANCEL_TOOL:
            return Plan(text=f"Which one do you mean? {why}:{_lines(rows)}")
        return Plan(text=f"{question} {why}, so I canceled nothing:{_lines(rows)}")


_Targets = list[tuple[re.Pattern[str], Callable[[_Meant, re.Match[str]], Plan | None]]]

# What a batch is called in a message.
_TARGETS: _Targets = [
    (re.compile(pattern), method)
    for pattern, method in (
        (r"(?:these )?(?:the )?(?:message )?(?:batch |batches )?(?:with (?:the )?id )?ID", _Meant.known),
        (rf"it|that|this|(?:that|this) {_BATCH}|the (?:message )?(?:batch|job)", _Meant.it),
        (rf"it if it (?:is|has run for|has been running for) {_OLDER}", _Meant.it_if),
        (r"them|they|both(?: of them)?|all(?: of)? (?:them|these|those)|these|those", _Meant.them),
        (rf"(?:all|every)(?: of)?(?: my| the)?(?: running)? {_BATCHES}(?:{_RUNNING})?(?: {_OLDER})?", _Meant.all),
        (rf"(?:everything|all)(?:{_RUNNING})?(?: {_OLDER})?", _Meant.all),
        (rf"(?:my |the )(?:running )?(?P<most>{_MOST})(?: running)?(?: {_BATCH})?(?:{_RUNNING})?", _Meant.most),
        (rf"(?:the )?(?P<ordinal>{'|'.join(_ORDINALS)}|\d{{1,3}}(?:st|nd|rd|th))(?: {_BATCH})?", _Meant.ordinal),
        (r"(?:number |#)(?P<ordinal>\d{1,3})", _Meant.ordinal),
        (rf"the other(?: {_BATCH})?", _Meant.other),
        (
            rf"(?:the |my ){_BATCH} (?:with|of|that has) (?P<size>\d{{1,9}}) ?(?P<thousand>k?)(?: requests)?",
            _Meant.size,
        ),
        (rf"(?:the |my )(?P<size>\d{{1,9}}) ?(?P<thousand>k?)(?: requests?)? {_BATCH}", _Meant.size),
        (
            rf"(?:the |my ){_BATCH}(?: that)?(?: i| was)?(?: from| created| sent| started| launched)?"
            rf"(?: about| around)? {_AGE} ago",
            _Meant.age,
        ),
        (rf"(?:the |my ){_AGE} old {_BATCH}", _Meant.age),
        (rf"(?:my|the|the only|one of my|one of the)(?: running)? {_BATCHES}(?:{_RUNNING})?", _Meant.mine),
        (r"(?:the )?(?:batch |one |job )?(?:named |called )?QUOTED(?: batch)?(?P<name>)", _Meant.named),
        (rf"the (?:{_BATCH} (?:named|called) )?(?P<name>[\w.'-]+(?: [\w.'-]+)*)", _Meant.named),
    )
]


_ALONE = rf"{_FRONT}(?P<target>.+?){_TAIL}"
_SHORT = {"what's": "what is", "whats": "what is", "it's": "it is", "i'd": "i would"}
# The script's own words, to which typing errors are corrected, and words like them, which stay what they are.
_PATTERNS = [*dict(_ANSWERS), *_LISTINGS, _WHICH, *(words for _, words in _REQUESTS)]
_PATTERNS += [words.pattern for words, _ in _TARGETS]
_OWN_WORDS = frozenset(re.findall(r"(?<![<\w])[a-z]{4,}", " ".join(_PATTERNS)))
_OTHER_WORDS = frozenset(
    re.findall(
        r"\w+",
        """cancels canceled cancelled canceling cancelling cancer cancers candle candles canal camel conceal council
        counsel stops stopping step steps shop ship skip slop stay kills killed killing kiln kilt aborted aborting
        half hall hate keep kept leave left last lost least lift nearest honest bath botch bench others seconds hours
        nothing something anything none never dont done only except unless until later yesterday tomorrow their than
        with without when where after before cold need next note very have will wait want were fast slow snow lose
        close cast fist abode about above""",
    )
)


def ids_in(text: str) -> list[str]:
    """Return the batch ids in a text, without repetitions."""
    return list(dict.fromkeys(_ID_ALONE.findall(text)))


def interpret(message: str, context: Context) -> Plan:
    """Decide how to respond to the person's last message, after a conversation about some batches."""
    sentence = message.rstrip(" \t\r\n.!?")
    words, quoted = _normalized(sentence)
    if len(words) > _LONGEST:
        return Plan(text=_NOT_UNDERSTOOD)
    said = _Message(_corrected(words), ids_in(message), quoted, "?" in message[len(sentence) :])
    return next(filter(None, _plans(said, context)), Plan(text=_NOT_UNDERSTOOD))


def _plans(message: _Message, context: Context) -> Iterator[Plan | None]:
    """Yield how a message can be understood, the best way first."""
    words = message.words
    yield from (Plan(text=text) for pattern, text in _ANSWERS if re.fullmatch(pattern, words))
    if re.fullmatch(rf"{_YES}(?: (?:{_YES}|please|it|that one|this one))*", words):
        yield _agreed(context)
    for listing in filter(None, (re.fullmatch(pattern, words) for pattern in _LISTINGS)):
        status = _STATUSES.get(listing.groupdict().get("status") or "", "any")
        yield Plan(LIST_TOOL, ({"status": status, "limit": 10},))
    if which := re.fullmatch(_WHICH, words):
        yield _which(which["most"], context)
    for tool, pattern in _REQUESTS:
        yield _requested(tool, re.fullmatch(pattern, words), message, context, _TARGETS)
    # A batch alone answers a question about a cancel, or corrects an order. Otherwise it is looked at.
    alone = re.fullmatch(_ALONE, words)
    if context.question or (context.canceled and alone and (alone["no"] or "the other" in words)):
        yield _requested(CANCEL_TOOL, alone, message, context, _TARGETS)
    else:
        yield _requested(GET_TOOL, alone, message, context, _TARGETS[:-1])


def _agreed(context: Context) -> Plan:
    if not context.question:
        return Plan(text=f"I have not asked you anything, so I canceled nothing now; {_EXAMPLES}")
    if len(context.it) != 1:
        return Plan(text=context.question)
    return Plan(CANCEL_TOOL, ({"message_batch_id": context.it[0].id},))


def _requested(
    tool: str, asked: re.Match[str] | None, message: _Message, context: Context, targets: _Targets
) -> Plan | None:
    """Plan what a message asks for, which is a cancel only if it is not a question such as "cancel it?"."""
    target = (asked["target"] or "it") if asked else ""
    if asked is None or (asked["no"] and target in {"it", "that", "this", "them"}):
        return None
    if message.is_question and tool == CANCEL_TOOL and not asked["asked"]:
        return None
    return _Meant(tool, message, context).plan(target, targets)


def _which(word: str, context: Context) -> Plan:
    among = {row.id for row in context.it} if context.question else set()

    def then(rows: list[Row]) -> Plan:
        found = _most(word, [row for row in rows if row.id in (among or {row.id})])
        return Plan(text=f"The {word} {'is' if len(found) == 1 else 'are'}:{_lines(found)}")

    return Plan(LIST_TOOL, ({"status": "in_progress", "limit": WHOLE},), then=then)


def _most(word: str, rows: list[Row]) -> list[Row]:
    """Return the batches, listed newest first, that are the newest, the biggest and so on."""
    if "old" in word:
        return rows[-1:]
    if word in {"latest", "most recent"} or "new" in word:
        return rows[:1]
    sizes = [row.requests or 0 for row in rows]
    return [row for row in rows if row.requests == (min if "small" in word else max)(sizes)]


def _is_older(row: Row, seconds: float) -> bool:
    return row.age is not None and row.age > seconds


def _seconds(match: re.Match[str]) -> float:
    number = match["number"]
    return (_VALUES[number] if number in _VALUES else int(number)) * _UNITS[match["unit"][0]]


def _lines(rows: list[Row]) -> str:
    more = f"\n(and {len(rows) - _SHOWN:,} more)" if len(rows) > _SHOWN else ""
    return "".join(f"\n- {row.line or row.id}" for row in rows[:_SHOWN]) + more


def _as_a_name(text: str) -> str:
    return _corrected(" ".join(re.findall(r"[^\s,:]+", text.lower()))).removesuffix(" batch")


def _normalized(text: str) -> tuple[str, list[str]]:
    """Return a text's words, with ID for batch ids and QUOTED for a text in quotation marks; and the quoted texts."""
    quoted = ["".join(parts) for parts in _QUOTED.findall(text)]
    text = _AN_END.sub(r"\1 ", _QUOTED.sub(" QUOTED ", re.sub(rf"`({_BATCH_ID})`", r"\1", text)).replace("\u2019", "'"))
    found = _WORD.findall(re.sub(r"(?<=\d),(?=\d{3})", "", text))
    words = ("ID" if batch_id else word if word == "QUOTED" else word.lower() for batch_id, word in found)
    return _IDS.sub("ID", " ".join(_SHORT.get(word, word) for word in words if word != "-")), quoted


def _corrected(words: str) -> str:
    """Correct one or two typing errors in each word of the script that is not another common word."""
    return re.sub(r"\b[a-z]{4,}\b", lambda word: _nearest(word[0]), words)


def _nearest(word: str) -> str:
    if word in _OWN_WORDS or word in _OTHER_WORDS:
        return word
    allowed = 1 if len(word) < 6 else 2
    known = ((_typing_errors(word, other), other) for other in _OWN_WORDS | _OTHER_WORDS)
    errors, nearest = min(known)
    return nearest if errors <= allowed and nearest in _OWN_WORDS else word


def _typing_errors(word: str, meant: str) -> int:
    """Count the letters that were left out, added, mistaken, or typed in the wrong order. The first is one of two."""
    if abs(len(word) - len(meant)) > 2 or word[0] not in meant[:2] or meant[0] not in word[:2]:
        return 3
    before: list[int] = []
    last = list(range(len(meant) + 1))
    for at, letter in enumerate(word):
        row = [at + 1]
        for to, other in enumerate(meant):
            row.append(min(last[to] + (letter != other), last[to + 1] + 1, row[to] + 1))
            if at and to and letter == meant[to - 1] and word[at - 1] == other:
                row[-1] = min(row[-1], before[to - 1] + 1)
        before, last = last, row
    return last[-1]
