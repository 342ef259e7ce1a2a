"""``cancel-message-batch chat``: talk with Claude."""

import argparse
import contextlib
import sys
from collections.abc import Iterator

from cancel_message_batch.cli.arguments import add_conversation, check_sdk, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode, Interrupted
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import interactive

_WELCOME = "Ask about your message batches, or say which one to cancel. Ctrl-C stops an answer, Ctrl-D ends."
_PATIENCE = 2.0  # seconds to look up the batches that were left behind


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    with open_batches(given) as batches:
        check_sdk()
        from cancel_message_batch.cli.recording import hint
        from cancel_message_batch.cli.screen import open_screen
        from cancel_message_batch.record.store import open_record

        with open_screen(batches, given, output, "chat") as screen:
            if left := hint(batches, open_record(output.warn), timeout=_PATIENCE):
                output.say(left)
            if interactive():
                output.say(_WELCOME)
            for message in _messages():
                if message in {"exit", "quit"}:
                    break
                with contextlib.suppress(Interrupted):  # ends the answer, not the chat
                    screen.say(message)
    return ExitCode.DONE


def _messages() -> Iterator[str]:
    """Yield what a person types, in a terminal a paste of several lines as one message; else the lines piped in."""
    if not interactive():
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        yield from filter(None, map(str.strip, sys.stdin))
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    # Standard output is for the answers, and may be a file.
    session: PromptSession[str] = PromptSession("> ", output=create_output(stdout=sys.stderr))
    while True:
        try:
            message = session.prompt().strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if message:
            yield message


COMMAND = Command(
    name="chat",
    about="Talk with Claude, who has the tools to list, check and cancel batches.",
    examples=("cancel-message-batch chat", "cancel-message-batch chat --model claude-opus-5-5"),
    arguments=add_conversation,
    run=_run,
)
