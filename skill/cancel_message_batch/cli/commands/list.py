"""``cancel-message-batch list``: list batches."""

import argparse

from cancel_message_batch.cli.arguments import add_connection, add_filters, open_batches, parse_count
from cancel_message_batch.cli.exit_codes import NONE_LIKE_THAT, ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command

_LIMIT = 20


def _arguments(parser: argparse.ArgumentParser) -> None:
    statuses = ("in_progress", "canceling", "ended")
    parser.add_argument("--status", choices=statuses, metavar="STATUS", help=f"one of {', '.join(statuses)}")
    add_filters(parser)
    text = f"at most N; 0 for all (default: {_LIMIT}; with --orphaned, all)"
    parser.add_argument("--limit", type=parse_count, metavar="N", help=text)
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.recording import say_what_may_be_ours, who_left
    from cancel_message_batch.cli.reports import print_batches
    from cancel_message_batch.cli.selection import check_names, filters_of, matching

    check_names(given, output)
    statuses = (given.status,) if given.status else ()
    limit = given.limit if given.limit is not None or given.orphaned else _LIMIT
    with open_batches(given) as batches:
        found = matching(batches, given, output, *statuses, limit=limit or None)
        print_batches(found, output, who_left(batches) if given.orphaned else None)
        if given.orphaned:
            say_what_may_be_ours(batches, output, filters_of(given, statuses).match)
    return ExitCode.DONE


COMMAND = Command(
    name="list",
    about="List the batches of the workspace, newest first.",
    examples=(
        "cancel-message-batch list",
        "cancel-message-batch list --status in_progress --limit 5",
        "cancel-message-batch list --older-than 1d --at-least 1000",
        "cancel-message-batch list --orphaned",
        "cancel-message-batch list --named 'nightly*'",
        "cancel-message-batch list --json --limit 0 | jq -r .id",
    ),
    arguments=_arguments,
    run=_run,
    exits={3: NONE_LIKE_THAT, 4: "some batches could not be read, and were left out"},
)
