"""``cancel-message-batch chat``: talk with Claude."""

import argparse
import contextlib
import sys
from collections.abc import Callable

from cancel_message_batch.cli.arguments import add_conversation, check_sdk, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode, Interrupted
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import interactive

_WELCOME = "Ask about your message batches, or say which one to cancel. Ctrl-C stops an answer, Ctrl-D ends."
_PATIENCE = 2.0  # seconds in which batches whose program is gone are looked up


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.recording import hint
    from cancel_message_batch.record.store import open_record

    with open_batches(given) as batches:
        check_sdk()
        from cancel_message_batch.cli.screen import Screen, open_conversation

        screen = Screen(output, "chat")
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        read = _prompt() if interactive() else _read_line
        with open_conversation(batches, given, screen) as conversation:
            if orphans := hint(batches, open_record(output.warn), timeout=_PATIENCE):
                output.say(orphans)
            if interactive():
                output.say(_WELCOME)
            while (message := read()) is not None and message.strip() not in {"exit", "quit"}:
                if not message.strip():
                    continue
                with contextlib.suppress(Interrupted):  # ends the answer, not the chat
                    screen.say(conversation, message)
    return ExitCode.DONE


def _read_line() -> str | None:
    """Read one message per line from what is piped in; None at its end."""
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _prompt() -> Callable[[], str | None]:
    """Return a reader for a terminal. A paste of several lines is one message."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    # Standard output is for the answers, and may be a file.
    session: PromptSession[str] = PromptSession("> ", output=create_output(stdout=sys.stderr))

    def read() -> str | None:
        while True:
            try:
                return session.prompt()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    return read


COMMAND = Command(
    name="chat",
    about="Talk with Claude, who has the tools to list, look at and cancel batches.",
    examples=("cancel-message-batch chat", "cancel-message-batch chat --model claude-opus-5-5"),
    arguments=add_conversation,
    run=_run,
)
