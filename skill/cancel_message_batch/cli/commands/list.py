"""``cancel-message-batch list``: list batches."""

import argparse
from itertools import islice

from cancel_message_batch.cli.arguments import add_connection, parse_count
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=("in_progress", "canceling", "ended"), help="only batches of this status")
    parser.add_argument("--limit", type=parse_count, default=20, metavar="N", help="at most N; 0 for all (default: 20)")
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch import summary
    from cancel_message_batch.batches.selection import listing
    from cancel_message_batch.cli.connection import open_batches
    from cancel_message_batch.cli.outcomes import print_batches

    limit = given.limit or None
    page = 1000 if given.status or limit is None else min(limit, 1000)
    with open_batches(given) as batches:
        found = islice(listing(batches, given.status, page=page), limit)
        if not print_batches(found, output) and not output.closed:
            output.say(summary.listed((), given.status or "any", more=False).text)
    return ExitCode.DONE


COMMAND = Command(
    name="list",
    about="List the batches of the workspace, newest first.",
    examples=(
        "cancel-message-batch list",
        "cancel-message-batch list --status in_progress --limit 5",
        "cancel-message-batch list --json --limit 0 | jq -r .id",
    ),
    arguments=_arguments,
    run=_run,
)
