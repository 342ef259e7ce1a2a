"""``cancel-message-batch wait ID …``: wait until batches have ended."""

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
    from cancel_message_batch.cli.watching import wait_for

    with open_batches(given, waiting=True) as batches:
        return wait_for(batches, read_ids(given.ids), timeout=given.timeout, output=output)


COMMAND = Command(
    name="wait",
    about="Wait until batches have ended. It keeps nothing: stop it and start it again at will.",
    examples=(
        "cancel-message-batch wait msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch wait ID ID --timeout 1h",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
)
