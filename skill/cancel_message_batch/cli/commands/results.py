"""``cancel-message-batch results ID …``: save results, and what is left to send."""

import argparse
from pathlib import Path

from cancel_message_batch.cli.arguments import FILTERS, add_connection, add_resending, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import PROGRAM, Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="message batch ids; - reads them from standard input")
    parser.add_argument(
        "--out", metavar="DIR", default="message-batches", help="save below DIR (default: message-batches)"
    )
    add_resending(parser)
    parser.add_argument("--split", action="store_true", help="also write one file for each type of result")
    parser.set_defaults(all=False, **dict.fromkeys(FILTERS))
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.selection import read_ids

    if not given.ids:
        raise UsageError(f"which batch? Give its ID; `{PROGRAM} list --status ended` shows those with results")
    ids = read_ids(given, "results")
    from cancel_message_batch.cli.saving import options_of, save_all

    options = options_of(given.requests, given.retry, output, split=given.split)
    with open_batches(given) as batches:
        return save_all(batches, ids, Path(given.out), options, output)


COMMAND = Command(
    name="results",
    about=(
        "Save the results of ended batches in DIR/ID, with a summary: what succeeded, what failed and why, what it "
        "cost. With --requests it also writes resubmit.jsonl, the requests to send again, and prints the lines of "
        "Python that send them. It sends nothing itself."
    ),
    examples=(
        "cancel-message-batch results msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch results ID --requests requests.jsonl",
        "cancel-message-batch results ID --requests requests.jsonl --retry all",
        "cancel-message-batch ID --wait --results message-batches --requests FILE --retry all",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={
        1: "the API or the network failed, the results are incomplete, or the requests file belongs to another batch",
        3: "the results are gone",
        4: "partly done, or something in the results is unusual",
        5: "not ended yet",
    },
)
