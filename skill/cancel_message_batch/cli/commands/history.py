"""``cancel-message-batch history``: what was done to batches from this machine."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import paint, width, wrapped

if TYPE_CHECKING:  # --help needs no record
    from cancel_message_batch.record.store import Action

_WIDTH = 80  # columns of a row; a narrower terminal gets several lines for it
_HEAD = f"{'WHEN':<16} {'WHAT':<6} {'ID':<33} THROUGH, CONSENT"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="only what was done to this batch")
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
    if entries and not output.json and width() >= _WIDTH:
        output.print(paint(_HEAD, "1", sys.stdout))
    for entry in entries:
        one = entry._asdict() | {"at": entry.at.isoformat()}
        for line in [ascii_json(one)] if output.json else _lines(entry):
            output.print(line)
        if output.closed:
            break
    if not entries:
        whose = message_batch_id or "any message batch"
        output.say(f"Nothing about {whose} is recorded on this machine yet.")
    return ExitCode.DONE


def _lines(entry: "Action") -> Iterator[str]:
    """Yield what was done as a row, and below it, indented, what was said and answered."""
    from cancel_message_batch.api.credentials import DEFAULT_BASE_URL

    how = ", ".join(filter(None, (entry.through, entry.consent)))
    when = f"{entry.at.astimezone():%Y-%m-%d %H:%M}"
    if width() >= _WIDTH:
        yield f"{when:<16} {entry.what:<6} {entry.message_batch_id:<33} {how}"
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
        "cancel-message-batch history --json | jq -r .message_batch_id",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={1: "the record cannot be used", 2: "wrong usage"},
)
