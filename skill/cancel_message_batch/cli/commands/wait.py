"""``cancel-message-batch wait ID …``: wait until batches have ended."""

import argparse

from cancel_message_batch.cli.arguments import add_batches, add_connection, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.selection import every, read_ids


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_batches(parser, every="every batch of the workspace that has not ended")
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    ids = read_ids(given, "wait")
    from cancel_message_batch.cli.watching import wait_for

    with open_batches(given, waiting=True) as batches:
        if given.all:
            ids = [batch.id for batch in every(batches, given, output)]
        return wait_for(batches, ids, timeout=given.timeout, output=output) if ids else ExitCode.DONE


COMMAND = Command(
    name="wait",
    about="Wait until batches have ended. Stopping it changes nothing for the batches: start it again at any time.",
    examples=(
        "cancel-message-batch wait msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch wait ID ID --timeout 1h",
        "cancel-message-batch wait --all",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={4: "some have ended, and some could not be looked up", 5: "the time was up"},
)
