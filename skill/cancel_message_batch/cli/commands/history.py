"""``cancel-message-batch history``: what was done to batches from this machine."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cancel_message_batch.cli.arguments import parse_count, parse_duration
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import paint, width, wrapped

if TYPE_CHECKING:  # --help needs no record
    from cancel_message_batch.record.store import Action

_WIDTH = 80  # columns of a row; a narrower terminal gets several lines for it
_HEAD = f"{'WHAT':<6} {'ID':<33} THROUGH, CONSENT"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="only what was done to this batch")
    parser.add_argument("--limit", type=parse_count, default=0, metavar="N", help="at most N; 0 for all (default: 0)")
    text = "only what was done less than TIME ago (90s, 30m, 2h, 1d)"
    parser.add_argument("--since", type=parse_duration, metavar="TIME", help=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.selection import checked_id

    message_batch_id = checked_id(given.id) if given.id is not None else None
    from cancel_message_batch.api.models import ascii_json
    from cancel_message_batch.record.store import open_record

    record = open_record()
    entries = record.history(message_batch_id)
    if record.fault:
        output.warn(record.fault)
        return ExitCode.FAILED
    if given.since is not None:
        earliest = datetime.now(UTC).timestamp() - given.since
        entries = [entry for entry in entries if entry.at.timestamp() > earliest]
    entries = entries[: given.limit or None]
    if entries and not output.json and width() >= _WIDTH:
        output.print(paint(f"{'WHEN':<{_when()}} {_HEAD}", "1", sys.stdout))
    for entry in entries:
        one = entry._asdict() | {"at": entry.at.isoformat()}
        for line in [ascii_json(one)] if output.json else _lines(entry):
            output.print(line)
        if output.closed:
            break
    if not entries:
        whose = message_batch_id or "any message batch"
        yet = "yet" if given.since is None else "for that time"
        output.say(f"Nothing about {whose} is recorded on this machine {yet}.")
    return ExitCode.DONE


def _when() -> int:
    """Return the columns of a time: a terminal, where the current year is left out, has fewer of them."""
    return 15 if sys.stdout.isatty() else 20


def _lines(entry: "Action") -> Iterator[str]:
    """Yield what was done as a row, and below it, indented, what was said and answered."""
    from cancel_message_batch.api.credentials import DEFAULT_BASE_URL

    how = ", ".join(filter(None, (entry.through, entry.consent)))
    at = entry.at.astimezone()
    # With a year, the usual row does not fit into 80 columns.
    year = "" if sys.stdout.isatty() and at.year == datetime.now().astimezone().year else "%Y-"
    when = at.strftime(f"{year}%m-%d %H:%M %Z")
    if width() >= _WIDTH:
        yield f"{when:<{_when()}} {entry.what:<6} {entry.message_batch_id:<33} {how}"
    else:
        yield f"{when} {entry.what}"
        yield f"  {entry.message_batch_id}"
        yield f"  {how}"
    name = f'named "{entry.name}"' if entry.name and entry.what != "name" else ""
    words = f'"{entry.words}"' if entry.words else "name removed" if entry.what == "name" else ""
    elsewhere = f", from {entry.origin}" if entry.origin not in {None, DEFAULT_BASE_URL} else ""
    answer = f"answer: {entry.answer}{elsewhere}" if entry.answer else ""
    for text in filter(None, (name, words, answer)):
        line = f"    {text}"
        yield wrapped(line, width(), indent="    ") if sys.stdout.isatty() else line


COMMAND = Command(
    name="history",
    about=(
        "Show what was done to batches from this machine, newest first: when, with what, how a person agreed, why, "
        "and how the API responded."
    ),
    examples=(
        "cancel-message-batch history",
        "cancel-message-batch history msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch history --since 1d --limit 20",
        "cancel-message-batch history --json | jq -r .message_batch_id",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={1: "the record cannot be used", 2: "wrong usage"},
)
