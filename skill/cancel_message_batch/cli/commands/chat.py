"""``cancel-message-batch chat``: talk with Claude."""

import argparse
import contextlib
import sys
from collections.abc import Iterator

from cancel_message_batch.cli.arguments import add_conversation, check_sdk, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode, Interrupted
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import interactive, typed_ahead

_WELCOME = "Ask about your message batches, or say which one to cancel. Ctrl-C stops an answer, Ctrl-D ends."
_PATIENCE = 2.0  # seconds to look up the batches that were left behind
_TOGETHER = 0.1  # seconds within which a pasted line follows the one before


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
            for message, may_order in _messages():
                if message in {"exit", "quit"}:
                    break
                with contextlib.suppress(Interrupted):  # ends the answer, not the chat
                    screen.say(message, may_order=may_order)
    return ExitCode.DONE


def _messages() -> Iterator[tuple[str, bool]]:
    """Yield each message, and whether it may be an order: each line piped in, or what a person types or pastes.

    Lines of a paste are one message, since one of them may say that another is no order. The rest of a paste that came
    too late for that has been waiting when the next prompt opens: it orders nothing.
    """
    if not sys.stdin.isatty():
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        yield from ((message, True) for line in sys.stdin if (message := line.strip()))
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    # Standard output is for the answers, and may be a file.
    shown = sys.stderr if interactive() or not sys.stdout.isatty() else sys.stdout
    session: PromptSession[str] = PromptSession("> ", output=create_output(stdout=shown))
    over = False
    while not over:
        lines: list[str] = []
        try:
            waited = typed_ahead(session.input)
            while not lines or typed_ahead(session.input, _TOGETHER):
                lines.append(session.prompt())
        except KeyboardInterrupt:
            continue
        except EOFError:
            over = True
        if message := "\n".join(lines).strip():
            yield message, not waited


COMMAND = Command(
    name="chat",
    about="Talk with Claude, who has the tools to list, check and cancel batches.",
    examples=("cancel-message-batch chat", "cancel-message-batch chat --model claude-opus-5-5"),
    arguments=add_conversation,
    run=_run,
)
