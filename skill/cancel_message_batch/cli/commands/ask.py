"""``cancel-message-batch ask "…"``: say one thing to Claude."""

import argparse

from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.cli.arguments import add_connection, add_model
from cancel_message_batch.cli.exit_codes import ExitCode, Interrupted, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", help="what to say")
    add_model(parser)
    add_connection(parser, json=False)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    if not given.message.strip():
        raise UsageError('say something, for example: ask "what is running?"')
    from cancel_message_batch import summary
    from cancel_message_batch.cli.connection import check_sdk, open_batches

    with open_batches(given) as batches:
        check_sdk()
        from cancel_message_batch.cli.screen import Screen, open_conversation

        screen = Screen(output)
        try:
            with open_conversation(batches, given, screen) as conversation:
                conversation.say(given.message)
        except KeyboardInterrupt:
            screen.stopped()
            raise Interrupted from None
        except MessageBatchError as error:
            screen.end()
            output.warn(summary.failed(error, "ask"))
            return ExitCode.FAILED
        screen.end()
        return ExitCode.DONE


COMMAND = Command(
    name="ask",
    about=(
        "Say one thing to Claude, who has the tools to list, look at and cancel batches. A batch that\n"
        "you do not name by its id is canceled only after your yes."
    ),
    examples=(
        'cancel-message-batch ask "Cancel the message batch with ID msgbatch_013Zva2CMHLNnXjNJJKqJ2EF."',
        'cancel-message-batch ask "what is running?"',
    ),
    arguments=_arguments,
    run=_run,
)
