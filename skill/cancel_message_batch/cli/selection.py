"""The batches that a command is about: named by id, found by filters, or picked by a person."""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence, Set
from itertools import islice

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import MessageBatchError, clean
from cancel_message_batch.api.models import ID_PREFIX, MessageBatch, message_batch_id_fault
from cancel_message_batch.api.pages import LARGEST_PAGE
from cancel_message_batch.batches.listing import EVERY, Filters, Listing, look_up
from cancel_message_batch.record.names import has_record
from cancel_message_batch.tools import ToolOutcome
from cancel_message_batch.words import states
from cancel_message_batch.words.facts import LookAlikes

from .arguments import FILTERS
from .exit_codes import UsageError
from .output import Output
from .recording import left_behind, who_left
from .registry import DEFAULT, OTHER_WORDS, PROGRAM, SUGGESTED
from .reports import table
from .terminal import confirm, own_terminal, write

_QUOTES = "\"'`\u2018\u201c"  # that may stand before an id
_AROUND = f"{_QUOTES} \t\n"


class Ids(list[str]):
    """The ids of a command line, without repetitions; ``found`` of them came from standard input alone."""

    found: int = 0


def read_ids(given: argparse.Namespace, command: str) -> Ids:
    """Return the ids given as arguments and, for ``-``, on standard input.

    If one of them is not an id, all are refused: nothing is done for half of what was typed.
    """
    ids: list[str] = []
    typed: set[str] = set()
    for word in given.ids:
        if word == "-":
            ids += _piped_ids()
        elif command == DEFAULT and word.strip() and not word.strip(_AROUND).startswith(ID_PREFIX):
            raise UsageError(_neither_command_nor_id(word))
        else:
            ids.append(checked_id(word))
            typed.add(ids[-1])
    if given.all and ids:
        raise UsageError("give ids or --all, not both")
    used = [name for name in FILTERS if getattr(given, name) is not None]
    if used and not given.all:
        flag = f"--{used[0].replace('_', '-')}"
        fault = "does not go with ids" if ids else "is not enough: a filter by itself chooses no batches"
        raise UsageError(f"{flag} {fault}. `{PROGRAM} list` takes it too, and shows the ids")
    if not (ids or given.all or command == DEFAULT):
        raise UsageError(f"which batch? Give its ID; `{PROGRAM} list` shows them")
    every = Ids(dict.fromkeys(ids))
    every.found = len(set(every) - typed)
    return every


def checked_id(word: str) -> str:
    """Return a message batch id without white space around it; anything else is a UsageError."""
    if not word.strip():
        raise UsageError(f"an id is empty; is a variable not set? `{PROGRAM} list` shows the ids. Nothing was sent.")
    if fault := _fault(word.strip()):
        raise UsageError(f'"{clean(word, limit=60)}" is not a message batch id: {fault}. Nothing was sent.')
    return word.strip()


def _fault(word: str) -> str | None:
    if word[:1] in _QUOTES and not message_batch_id_fault(word[1:-1]):
        return "there are quotes around it"
    several = re.split(r"[\s,;]+", word)
    if len(several) > 1 and not any(map(message_batch_id_fault, several)):
        return f"it holds {len(several):,} ids; give each as an argument of its own, without quotes around them all"
    return message_batch_id_fault(word)


def _neither_command_nor_id(word: str) -> str:
    """Say what the word was probably meant to be."""
    from difflib import get_close_matches

    shown = clean(word, limit=60)
    meant = OTHER_WORDS.get(word)
    if not meant and (nearest := get_close_matches(word, SUGGESTED, 1)):
        meant = f"did you mean {nearest[0]}?"
    if not meant:
        by_name = f" --named {shlex.quote(f'{shown}*')}" if has_record() else ""
        meant = f"{_fault(word.strip())}. `{PROGRAM} list{by_name}` shows batches and their ids"
    return f'"{shown}" is not a command or a message batch id; {meant}'


def _piped_ids() -> Iterator[str]:
    """Yield the ids on standard input: words, or the JSON lines of ``list --json``; comments begin with ``#``."""
    found = ""
    # Files of Windows begin with a mark, U+FEFF.
    for number, line in enumerate(read_standard_input().replace("\ufeff", " ").split("\n"), 1):
        for word in _words(line):
            try:
                found = checked_id(word)
            except UsageError as error:
                hint = f"`{PROGRAM} list --quiet` prints ids, --json objects."
                raise UsageError(f"line {number} of standard input: {error} {hint}") from None
            yield found
    if not found:
        raise UsageError("there is no id on standard input")


def read_standard_input() -> str:
    """Return all of standard input as text; nothing when it cannot be read."""
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    except OSError:  # it is open for writing only
        return ""


def _words(line: str) -> list[str]:
    """Return what should be ids in a line."""
    if line.lstrip().startswith("{"):
        try:
            return [str(json.loads(line)["id"])]
        except (ValueError, KeyError, RecursionError):
            return [line.strip()]  # which is not an id
    return re.sub(r"(^|\s)#.*", "", line).replace(",", " ").split()


def filters_of(given: argparse.Namespace, statuses: Sequence[str] = (), ids: Set[str] | None = None) -> Filters:
    """Return the filters that the flags describe, for batches with one of these statuses and ids."""
    return Filters(frozenset(statuses), given.older_than, given.newer_than, given.at_least, given.named, ids)


def check_names(given: argparse.Namespace, output: Output) -> None:
    """Warn if the names of batches cannot be read; where they decide which batches are meant, raise."""
    from cancel_message_batch.record.store import open_record

    decides = given.named is not None or given.mine or given.orphaned
    record = open_record(None if decides else output.warn)
    record.check()
    if decides and record.fault:
        raise MessageBatchError(record.fault)


def matching(
    batches: MessageBatches, given: argparse.Namespace, output: Output, *statuses: str, limit: int | None = None
) -> Iterator[MessageBatch]:
    """Yield the batches that the filters match, newest first; then say if there are none, or what was left out.

    If a filter needs the record, one that cannot be used is an error.
    """
    if given.named is not None or given.mine or given.orphaned:
        check_names(given, output)
    mine = _mine(batches) if given.mine else None
    if mine is not None and not mine:
        output.say_nothing_done(states.NONE_MINE)
        return
    filters = filters_of(given, statuses, mine)
    page = LARGEST_PAGE if filters != EVERY or limit is None else min(limit, LARGEST_PAGE)
    listing = Listing(batches, filters, page=page)
    orphaned = left_behind(batches, output) if given.orphaned else None
    found = iter(listing) if orphaned is None else listing.matching(orphaned)
    empty = True
    for batch in islice(found, limit):
        empty = False
        yield batch
    if listing.unreadable:
        output.leave_out(states.unreadable(listing.unreadable))
    elif empty:
        none = states.none_found(statuses, filtered=filters_of(given, ids=mine) != EVERY, orphaned=bool(given.orphaned))
        if given.named is not None:
            none = f"{none} {states.names_there_are(list(listing.names), statuses)}"
        (output.say if given.named is None and mine is None else output.say_nothing_done)(none)


def _mine(batches: MessageBatches) -> set[str]:
    """Return the ids of the batches that --mine means."""
    from cancel_message_batch.record.store import open_record

    record = open_record()
    mine = record.mine(origin(batches.connection.base_url))
    if record.fault:
        raise MessageBatchError(record.fault)
    return mine


def choose(batches: MessageBatches, given: argparse.Namespace, output: Output) -> Sequence[MessageBatch]:
    """Return the batches to cancel: a person chooses them, or confirms those that --all means."""
    known = list(matching(batches, given, output, "in_progress"))
    if not known and not (output.incomplete or output.nothing):
        output.say("There is nothing to cancel.")
    if not known or given.dry_run:
        return known
    listed = [batch.id for batch in known]
    if not given.all:
        from .picker import pick  # loads prompt_toolkit

        known = pick(known)
        if not known:
            output.say_nothing_done(
                "Nothing was selected, so nothing was canceled. Space selects a batch, Enter continues."
            )
            return ()
    if given.yes:
        return known
    if given.all or len(known) > 1 or LookAlikes(listed).difference(known[0].id):
        output.show(table(known, sys.stderr, who_left(batches) if given.orphaned else None, among=listed))
    if not confirm(states.cancel_these(known)):
        output.say_nothing_done("Nothing was canceled.")
        return ()
    return known


def confirm_found(
    batches: MessageBatches, ids: Sequence[str], output: Output
) -> tuple[list[str], dict[str, ToolOutcome]]:
    """Look at ids that were not typed, and ask the person at the terminal about those that are running.

    Returns the ids to cancel, none after a no, and the outcome for each id that could not be looked up.
    """
    outcomes = dict(look_up(batches, ids))
    failed = {name: outcome for name, outcome in outcomes.items() if outcome.batch is None}
    for outcome in failed.values():
        output.warn(outcome.text)
    known = [outcome.batch for outcome in outcomes.values() if outcome.batch]
    running = states.still_running(known)
    if running:
        with own_terminal() as (keyboard, screen):
            write(screen, "".join(f"{line}\n" for line in table(running, screen)))
            agreed = confirm(states.cancel_these(running), keyboard, screen)
        if not agreed:
            output.say_nothing_done("Nothing was canceled.")
            return [], {}
    return [batch.id for batch in known], failed
