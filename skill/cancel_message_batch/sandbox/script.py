"""The script of the stand-in for Claude: which messages it understands, and how it responds to them.

A message is understood only as a whole. So nothing is canceled after a negation, a condition, a quotation or any
unknown word. Each pattern is matched in linear time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

CANCEL_TOOL, LIST_TOOL, GET_TOOL = "cancel_message_batch", "list_message_batches", "get_message_batch"

_BATCH_ID = r"msgbatch_[A-Za-z0-9_-]+"
_ID_ALONE = re.compile(rf"(?<![A-Za-z0-9_-]){_BATCH_ID}")
_WORD = re.compile(rf"({_BATCH_ID})|([^\s,:]+)")

# In these patterns, ID stands for a batch id. All other words are in lower case.
_IDS = r"(?:these )?(?:the )?(?:message )?(?:batch |batches )?(?:with id )?ID(?: (?:and )?ID)*"
_ORDER = re.compile(
    r"(?:(?:please|now|then) )*(?:cancel|stop|abort|kill) "
    rf"(?:(?:the processing of )?{_IDS}|(?P<newest>(?:my|the) (?:newest|latest) (?:message )?batch)|it)"
    r"(?: (?:please|now|using the anthropic api))*"
)
# A name follows "the" by itself, or is in quotation marks, where it may contain any word.
_ORDER_BY_NAME = re.compile(
    r"(?:(?:please|now|then) )*(?:cancel|stop|abort|kill) "
    r"(?:(?:the )?(?:batch )?\"(?P<quoted>[^\"]+)\"|the (?P<plain>[\w.-]+(?: [\w.-]+)*?))(?: (?:please|now))*"
)
_LONGEST_BY_NAME = 200  # characters: this pattern takes longer than linear time
_NOT_IN_A_NAME = re.compile(r"\b(?:and|but|except|for|if|in|not|of|one|or|that|until|when|which|with)\b|^batch$")
_STATUS_QUESTION = re.compile(
    rf"(?:is|are|has|have|did) (?:it|they|{_IDS})(?: (?:still|running|stop|stopped|ended|done|finished|yet))+"
    rf"|(?:what is )?(?:the )?status of (?:it|{_IDS})|check {_IDS}"
)
_LIST_QUESTION = re.compile(
    r"(?:what is|is anything|which batches are) (?P<question>running|canceling|ended)"
    r"|(?:list|show) (?:me )?(?:my |the )?(?P<order>running |canceling |ended )?batches"
)
_STATUSES = {"running": "in_progress", "canceling": "canceling", "ended": "ended"}

_WHICH_BATCH = "Which batch? Give me its id, or ask me to cancel your newest batch."
_NOT_UNDERSTOOD = (
    "I follow a script and did not understand that, so I canceled nothing. I understand orders such as 'cancel my "
    "newest batch', 'cancel the nightly eval' with a batch's name, 'cancel it' and 'cancel' with batch ids, and "
    "questions such as 'what is running?' and 'is it stopped yet?'."
)


@dataclass(frozen=True)
class Plan:
    """What the stand-in does in response to a message: it calls a tool, once for each input, or says something."""

    tool: str = ""
    inputs: tuple[dict[str, Any], ...] = ()
    text: str = ""
    then: Callable[[list[tuple[str, str]]], "Plan | None"] | None = None  # about the ids and names that it lists


def ids_in(text: str) -> list[str]:
    """Return the batch ids in a text, without repetitions."""
    return list(dict.fromkeys(_ID_ALONE.findall(text)))


def interpret(message: str, mentioned: list[str]) -> Plan:
    """Decide how to respond to the person's last message, in which "it" or "they" can mean the mentioned batches."""
    sentence = message.rstrip(" \t\r\n.!?")
    words = _normalized(sentence)
    ids = ids_in(message) or mentioned
    several = "ID" in words or "they" in words
    order = None if "?" in message[len(sentence) :] else _ORDER.fullmatch(words)
    if order and order["newest"]:
        return Plan(LIST_TOOL, ({"status": "in_progress", "limit": 5},), then=_cancel_first)
    if order:
        return _for_each(CANCEL_TOOL, ids, several=several)
    if name := "" if "?" in message or ids_in(message) else _ordered_name(words):
        return Plan(LIST_TOOL, ({"status": "in_progress", "limit": 50},), then=partial(_cancel_named, name))
    if _STATUS_QUESTION.fullmatch(words):
        return _for_each(GET_TOOL, ids, several=several)
    if listing := _LIST_QUESTION.fullmatch(words):
        wanted = (listing["question"] or listing["order"] or "").strip()
        return Plan(LIST_TOOL, ({"status": _STATUSES.get(wanted, "any"), "limit": 10},))
    return Plan(text=_NOT_UNDERSTOOD)


def _cancel_first(listed: list[tuple[str, str]]) -> Plan | None:
    return _for_each(CANCEL_TOOL, [listed[0][0]], several=False) if listed else None


def _cancel_named(name: str, listed: list[tuple[str, str]]) -> Plan:
    ids = [batch_id for batch_id, other in listed if _as_a_name(other) == _as_a_name(name)]
    if len(ids) == 1:
        return _for_each(CANCEL_TOOL, ids, several=False)
    which = f" Which one: {' or '.join(ids)}?" if ids else ""
    return Plan(text=f'{len(ids) or "No"} running batches have the name "{name}".{which} I canceled nothing.')


def _as_a_name(text: str) -> str:
    return _normalized(text).removesuffix(" batch")


def _ordered_name(words: str) -> str:
    """Return the name of the batch that an order is about; empty when the text is not such an order."""
    order = _ORDER_BY_NAME.fullmatch(words) if len(words) <= _LONGEST_BY_NAME else None
    if order is None or (order["plain"] and _NOT_IN_A_NAME.search(order["plain"])):
        return ""
    return str(order["quoted"] or order["plain"])


def _normalized(text: str) -> str:
    """Return the words of a text in lower case, separated by single spaces, with ID for each batch id."""
    words = ("ID" if batch_id else word.lower() for batch_id, word in _WORD.findall(text))
    return " ".join(word for word in words if word != "-").replace("what's", "what is")


def _for_each(tool: str, ids: list[str], *, several: bool) -> Plan:
    """Plan one call for each batch, or ask which batch is meant."""
    if len(ids) == 1 or (ids and several):
        return Plan(tool, tuple({"message_batch_id": batch_id} for batch_id in ids))
    return Plan(text=_WHICH_BATCH)
