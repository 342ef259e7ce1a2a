"""``cancel-message-batch ask "…"``: say one thing to Claude."""

import argparse

from cancel_message_batch.cli.arguments import add_conversation, check_sdk, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", help="the message; - reads it from standard input")
    text = "this batch may be canceled without a question; can be repeated"
    parser.add_argument("--may-cancel", action="append", default=[], metavar="ID", help=text)
    add_conversation(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.selection import read_standard_input

    message = read_standard_input() if given.message == "-" else given.message
    if not message.strip():
        raise UsageError('give a message, for example: ask "what is running?"')
    with open_batches(given) as batches:
        check_sdk()
        from cancel_message_batch.cli.screen import open_screen

        with open_screen(batches, given, output, "ask") as screen:
            return screen.exit_code() if screen.say(message) else ExitCode.FAILED


COMMAND = Command(
    name="ask",
    about=(
        "Send one message to Claude, who has the tools to list, check and cancel batches. A batch is canceled at once "
        "only if your whole message is an order to cancel it by its id. Any other cancel needs your yes; without a "
        "terminal, the answer is no."
    ),
    examples=(
        'cancel-message-batch ask "Cancel the message batch with ID msgbatch_013Zva2CMHLNnXjNJJKqJ2EF."',
        'cancel-message-batch ask "what is running?"',
        'cancel-message-batch ask --may-cancel ID "stop ID if it is older than an hour"',
    ),
    arguments=_arguments,
    run=_run,
    exits={4: "partly done", 6: "a cancel needed a yes and did not get one"},
)
