"""``cancel-message-batch list``: list batches."""

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from cancel_message_batch.cli.arguments import add_connection, add_filters, open_batches, parse_count
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.selection import check_names, filters_of

if TYPE_CHECKING:  # --help does not need it
    from cancel_message_batch.api.models import MessageBatch


def _arguments(parser: argparse.ArgumentParser) -> None:
    statuses = ("in_progress", "canceling", "ended")
    parser.add_argument("--status", choices=statuses, metavar="STATUS", help=f"one of {', '.join(statuses)}")
    add_filters(parser)
    parser.add_argument("--limit", type=parse_count, default=20, metavar="N", help="at most N; 0 for all (default: 20)")
    parser.add_argument("--described", action="store_true", help=argparse.SUPPRESS)  # for completion
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.batches.selection import listing
    from cancel_message_batch.cli.outcomes import print_batches
    from cancel_message_batch.words import states

    limit, filters = given.limit or None, filters_of(given)
    page = 1000 if given.status or filters or limit is None else min(limit, 1000)
    unreadable: list[int] = []
    found: Iterator[MessageBatch]
    check_names(output)
    with open_batches(given) as batches:
        if given.orphaned:
            from cancel_message_batch.cli.recording import orphaned

            every = filter(filters.match, orphaned(batches, output))
            found = (batch for batch in every if given.status in {None, batch.processing_status})
        else:
            found = listing(batches, given.status, page=page, filters=filters, unreadable=unreadable.append)
        printed = print_batches(islice(found, limit), output, described=given.described)
        if not printed and not output.closed:
            if given.orphaned:
                like = " like that" if filters or given.status else ""
                output.say(f"This machine knows no unfinished batch{like} whose program is gone.")
            elif filters:
                output.say("There is no message batch like that.")
            else:
                output.say(states.listed((), given.status or "any", more=False).text)
    if any(unreadable):
        output.warn(states.unreadable(sum(unreadable)))
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
)
