"""``cancel-message-batch name ID NAME``: give a batch a name."""

import argparse
import contextlib

from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a message batch id")
    parser.add_argument("name", metavar="NAME", help='the name, at most 100 characters; "" removes it')


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.selection import checked_id

    message_batch_id = checked_id(given.id)
    from cancel_message_batch.api.credentials import origin, program_base_url
    from cancel_message_batch.api.errors import ConfigurationError, InvalidInputError
    from cancel_message_batch.record.store import open_record
    from cancel_message_batch.words import programs

    record = open_record()
    where = None  # any base URL, until one is learned
    with contextlib.suppress(ConfigurationError):
        where = origin(program_base_url())
    try:
        name = record.set_name(message_batch_id, given.name, where)
    except InvalidInputError as error:
        raise UsageError(f"{error}. Nothing was changed.") from None
    if record.fault:
        output.warn(record.fault)
        return ExitCode.FAILED
    output.say(programs.named(message_batch_id, name))
    return ExitCode.DONE


COMMAND = Command(
    name="name",
    about=(
        "Give a batch a name, which `list`, `status` and the other commands then show. The API does not keep names: "
        "only this machine knows it, and nothing is sent."
    ),
    examples=(
        'cancel-message-batch name msgbatch_013Zva2CMHLNnXjNJJKqJ2EF "nightly eval v3"',
        'cancel-message-batch name msgbatch_013Zva2CMHLNnXjNJJKqJ2EF ""',
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={1: "the record cannot be used", 2: "wrong usage"},
)
