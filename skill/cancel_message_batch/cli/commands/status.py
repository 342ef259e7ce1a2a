"""``cancel-message-batch status ID …``: show where batches stand."""

import argparse

from cancel_message_batch.cli.arguments import add_batches, add_connection, open_batches
from cancel_message_batch.cli.exit_codes import NONE_LIKE_THAT, ExitCode, combined, exit_code
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_batches(parser, every="every batch of the workspace that has not ended")
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.batches.listing import look_up
    from cancel_message_batch.cli.recording import say_where_known
    from cancel_message_batch.cli.reports import print_status
    from cancel_message_batch.cli.selection import check_names, matching, read_ids

    ids = read_ids(given, "status")
    check_names(given, output)
    codes = []
    outcomes = {}
    with open_batches(given) as batches:
        if given.all:
            for batch in matching(batches, given, output, "in_progress", "canceling"):
                print_status(batch, output)
        for message_batch_id, outcome in look_up(batches, ids):
            if outcome.batch is None:
                outcomes[message_batch_id] = outcome
                output.warn(outcome.text)
            else:
                print_status(outcome.batch, output)
            codes.append(exit_code(outcome))
        say_where_known(outcomes, batches, output)
    return combined(codes)


COMMAND = Command(
    name="status",
    about="Show where batches stand. Counts are final only when a batch has ended.",
    examples=(
        "cancel-message-batch status msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch status ID --json",
        "cancel-message-batch status --all",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={3: NONE_LIKE_THAT, 4: "some were found, and some were not"},
)
