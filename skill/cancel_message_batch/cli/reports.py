"""Reports on batches: the outcome of a call, a status, the rows of a table, and what to type next."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import TextIO

from cancel_message_batch.api.models import MessageBatch, ascii_json, message_batch_id_fault
from cancel_message_batch.record import names
from cancel_message_batch.tools import ToolOutcome
from cancel_message_batch.words.facts import Facts, LookAlikes, day_and_time, distance, duration, facts
from cancel_message_batch.words.states import IN_A_ROW, IN_SHORT, details, final_counts, may_repeat, status

from .output import Output
from .registry import PROGRAM
from .terminal import copyable, cut, fitted, interactive, paint, width, wrapped

FEW = 3  # ids that fit into a suggested command
_WIDTH = 80  # columns that a row may take; a narrower terminal gets several lines for each batch
_STATUS_COLORS = {"in_progress": "32", "canceling": "33", "ended": "2"}
_SCREENFUL = 20  # rows that decide whether there is a column for names
_CREATED = 20  # columns of a time with its year
_LIST_HEAD = f"{'ID':<33} {'STATUS':<10} REQUESTS  AGE "
_WAIT_HEAD = f"{'ID':<33} {'STATUS':<11} {'FOR':>4} REQUESTS "
_CANCEL_HEAD = f"{'RESULT':<17} {'ID':<33} REQUESTS"
_LABEL = 10  # columns for the label of a line in a block

# What else there is to say about a batch: a sentence, and members of its JSON object. Both may be empty.
More = Callable[[MessageBatch], tuple[str, dict[str, object]]]


def print_outcome(outcome: ToolOutcome, output: Output) -> None:
    """Print one outcome: a failure as a message, a batch as a result."""
    if outcome.is_error or outcome.batch is None:
        output.warn(outcome.text)
    elif outcome.result in {"canceling", "already_canceling"} and for_person(output):
        output.print(_line(IN_A_ROW[outcome.result], outcome.batch))
        if again := may_repeat([outcome.batch], in_short=True):
            output.say(again)
    else:
        print_batch(outcome.batch, fitted(outcome.text, sys.stdout), output)


def for_person(output: Output) -> bool:
    """Whether results go to a terminal, where a person reads them; pipes get the full text."""
    return sys.stdout.isatty() and not (output.json or output.quiet)


def print_ended(batch: MessageBatch, output: Output) -> None:
    """Print how a batch that was waited for has ended."""
    if for_person(output):
        counts = f"  {final_counts(batch)}"
        output.print(f"{_line('ended', batch)}\n{wrapped(counts, width(), indent='  ')}")
    else:
        print_batch(batch, fitted(status(batch), sys.stdout), output)


def _line(what: str, batch: MessageBatch) -> str:
    """Say in a line what became of one batch."""
    known = facts(batch)
    start, size = f"{what}  {known.id}", f"  {known.size}"
    if len(start) + len(size) > width():
        return "\n  ".join(filter(None, (what, known.id, cut(known.name, width() - 2), known.size)))
    room = width() - len(start) - len(size) - 2
    name = f"  {cut(known.name, room)}" if known.name and room > 3 else ""
    return f"{start}{name}{size}"


def canceled_head() -> str:
    """Write the head of the table of many cancels; a narrow terminal has none."""
    return paint(f"{_CANCEL_HEAD}{'  NAME' * names.has_record()}", "1", sys.stdout) if fits() else ""


def canceled_row(message_batch_id: str, outcome: ToolOutcome, difference: str) -> Iterable[str]:
    """Say in a row of a table what a cancel did to one of many batches; one that failed has no size."""
    what, known = IN_A_ROW[outcome.result], facts(outcome.batch) if outcome.batch else None
    name = known.name if known else ""
    if fits():
        row = f"{what:<17} {message_batch_id:<33} {f'{known.requests:,}' if known else '':>8}"
        yield f"{row}  {cut(name, width() - len(row) - 2)}".rstrip()
        indent = " " * 18
    else:
        yield message_batch_id
        indent = ""
    if difference:
        yield f"{indent}{difference}"
    if not fits():
        yield f"  {what}{f', {known.size}' if known else ''}"
        yield from [f"  {cut(name, width() - 2)}"] * bool(name)


def explain(outcomes: Sequence[ToolOutcome], output: Output, *, waits: bool) -> None:
    """Say once what these cancels mean, and how to watch the batches if the command does not wait for them."""
    running = [outcome.batch.id for outcome in outcomes if outcome.batch and not outcome.batch.ended]
    brief = for_person(output) and any(outcome.result in {"canceling", "already_canceling"} for outcome in outcomes)
    if brief and (waits or not interactive()):
        output.say(IN_SHORT)
    if not waits:
        many = f"list --status canceling --limit 0 --quiet | {PROGRAM} wait -"
        suggest(f"{IN_SHORT} To watch" if brief else "To wait until stopped", "wait", running, many, output)


def print_batch(batch: MessageBatch, text: str, output: Output) -> None:
    """Print a batch: as JSON, as the text or, with ``--quiet``, not at all."""
    if output.json or not output.quiet:
        output.print(batch.to_json() if output.json else text)


def print_status(batch: MessageBatch, output: Output) -> None:
    """Print all that is known about a batch, or as JSON, or nothing."""
    print_batch(batch, "" if output.json or output.quiet else block(batch, sys.stdout), output)


def print_batches(batches: Iterable[MessageBatch], output: Output, more: More | None = None) -> None:
    """Print batches as they come, with what else there is to say about each."""
    if output.json:
        lines: Iterable[str] = (_json(batch, more) for batch in batches)
    elif output.quiet:  # shells and scripts read each line as an id
        lines = (batch.id for batch in batches if not message_batch_id_fault(batch.id))
    else:
        lines = table(batches, sys.stdout, more)
    for line in lines:
        output.print(line)
        if output.closed:
            break


def _json(batch: MessageBatch, more: More | None) -> str:
    members = more(batch)[1] if more else {}
    return ascii_json(json.loads(batch.to_json()) | members, separators=(",", ":")) if members else batch.to_json()


def suggest(what: str, command: str, ids: Sequence[str], many: str, output: Output) -> None:
    """Show a person at a terminal what to type next, if there are ids; ``many`` is the command for many."""
    if ids and interactive() and not output.json:
        shown = f"{command} {' '.join(ids)}" if len(ids) <= FEW else many
        output.say(f"{what}:\n{copyable(f'{PROGRAM} {shown}', width())}")


def suggest_results(ended: Iterable[MessageBatch], output: Output) -> None:
    """Show a person how to save the results of batches that have ended."""
    suggest("To save the results", "results", [batch.id for batch in ended if batch.results_url], "results ID", output)


def fits() -> bool:
    """Whether the terminal is wide enough for a table."""
    return width() >= _WIDTH


def table(
    batches: Iterable[MessageBatch], stream: TextIO, more: More | None = None, *, among: Iterable[str] = ()
) -> Iterable[str]:
    """Yield the lines of a table, one batch at a time; ``among`` are ids that one of them may be mistaken for."""
    rows, for_eyes = iter(batches), stream.isatty()
    first = list(islice(rows, _SCREENFUL if names.has_record() or for_eyes else 1))
    named = any(batch.context.name for batch in first)
    alike = LookAlikes(chain(among, (batch.id for batch in first)))
    if first and fits():
        last = last_columns("CREATED", "NAME" if named else None, len(_LIST_HEAD), stream)
        yield paint(_LIST_HEAD + last, "1", stream)
    for batch in chain(first, rows):
        alike.add(batch.id)
        yield row(batch, stream, named=named, difference=alike.difference(batch.id) if for_eyes else "")
        if more and (text := more(batch)[0]):
            yield wrapped(f"  {text}", width(), indent="  ") if for_eyes else f"  {text}"


def row(batch: MessageBatch, stream: TextIO, *, named: bool = False, difference: str = "") -> str:
    """Format a batch as one line or, in a narrow terminal, as several.

    ``named``: there is a column for names. ``difference`` stands below the id.
    """
    known, created = facts(batch), day_and_time(batch.created_at, batch)
    line = f"{known.id:<33} {known.status:<11} {known.requests:>7,} {age(batch.created_at, batch):>4} "
    below = f"\n{difference}" if difference else ""
    if fits() and len(line) + len(created) <= width():
        name = known.name if named or batch.context.name else None
        return (_with_color(line, known, stream) + last_columns(created, name, len(line), stream)).rstrip() + below
    lines = f"{known.id}{below}\n  {known.status}, {known.size},\n  "
    lines = _with_color(lines, known, stream) + f"{created} ({distance(batch.created_at, batch)})"
    return f"{lines}\n  {cut(known.name, width() - 2)}" if batch.context.name else lines


def last_columns(created: str, name: str | None, taken: int, stream: TextIO) -> str:
    """Write the columns that may not both fit: without room, a name takes the place of the time."""
    if name is None:
        return created
    if not stream.isatty():
        return f"{created:<{_CREATED}} {name}"
    room = width() - taken
    if room < 2 * _CREATED:
        return cut(name, room)
    return f"{created:<{_CREATED}} {cut(name, room - _CREATED - 1)}"


def waiting_table(batches: Sequence[tuple[str, MessageBatch | None]], stream: TextIO) -> Iterable[str]:
    """Yield the lines of a table of batches that are waited for, by id; None is one that was not seen yet."""
    named = any(batch and batch.context.name for _, batch in batches)
    if fits():
        last = last_columns("ENDS BY", "NAME" if named else None, len(_WAIT_HEAD), stream)
        yield paint(f"{_WAIT_HEAD}{last}", "1", stream)
    for name, batch in batches:
        yield _waiting_row(batch, stream, named=named) if batch else f"{name} …"


def _waiting_row(batch: MessageBatch, stream: TextIO, *, named: bool) -> str:
    known, counts = facts(batch), batch.request_counts
    elapsed = age(batch.cancel_initiated_at or batch.created_at, batch)
    so_far = f"{counts.finished:,}/" if counts.finished else ""
    latest = day_and_time(batch.expires_at, batch) if batch.expires_at > batch.context.as_of else ""
    line = f"{known.id:<33} {known.status:<11} {elapsed:>4} {f'{so_far}{known.requests:,}':>8} "
    if fits() and len(line) + len(latest) <= width():
        last = last_columns(latest, known.name if named else None, len(line), stream)
        return f"{_with_color(line, known, stream)}{last}".rstrip()
    lines = f"{known.id}\n  {known.status} for {elapsed},\n  {so_far}{known.size}"
    return _with_color(lines, known, stream) + (f"\n  {cut(known.name, width() - 2)}" if known.name else "")


def block(batch: MessageBatch, stream: TextIO) -> str:
    """Format all that is known about a batch as aligned lines below its id."""
    lines = [paint(facts(batch).id, "1", stream)]
    for label, value in details(batch):
        text = f"  {label:<{_LABEL}}{value}"
        one_word = " " not in value  # such as a URL, which a terminal breaks so that it can still be copied
        lines.append(text if one_word or not stream.isatty() else wrapped(text, width(), indent=" " * (_LABEL + 2)))
    return "\n".join(lines)


def size_and_age(batch: MessageBatch) -> str:
    """Describe a batch in a few words, beside its id."""
    return f"{facts(batch).size}, {age(batch.created_at, batch)} old"


def age(time: datetime, batch: MessageBatch) -> str:
    """Write how long ago a time is in its largest unit, in the form that --older-than takes: ``2h``."""
    number, unit = duration(max((batch.context.as_of - time).total_seconds(), 0)).split()[:2]
    return f"{number}{unit[0]}"


def _with_color(line: str, known: Facts, stream: TextIO) -> str:
    start, painted = len(known.id), paint(known.status, _STATUS_COLORS.get(known.status, "0"), stream)
    return line[:start] + line[start:].replace(known.status, painted, 1)
