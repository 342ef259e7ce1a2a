"""``cancel-message-batch status ID …``: show where batches stand."""

import argparse

from cancel_message_batch.cli.arguments import add_connection, add_ids
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.ids import read_ids
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_ids(parser, required=True)
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.connection import open_batches
    from cancel_message_batch.cli.outcomes import combined, exit_code, print_outcome
    from cancel_message_batch.tools import GET

    codes = []
    with open_batches(given) as batches:
        for message_batch_id in read_ids(given.ids):
            outcome = GET.run({"message_batch_id": message_batch_id}, batches)
            print_outcome(outcome, output)
            codes.append(exit_code(outcome))
    return combined(codes)


COMMAND = Command(
    name="status",
    about="Show where batches stand. Counts are final only when a batch has ended.",
    examples=(
        "cancel-message-batch status msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch status ID --json",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
)
