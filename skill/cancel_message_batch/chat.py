"""The terminal's side of the conversation with Claude: ``ask`` and ``chat``."""

import sys
from typing import Any

import anthropic

from . import summary
from .agent import Conversation, Event, Text, ToolResult, ToolUse
from .client import MessageBatches
from .credentials import sdk_base_url
from .errors import ConfigurationError, MessageBatchError, clean
from .models import MessageBatch
from .terminal import Output, confirm, interactive, paint

WELCOME = "Ask about your message batches, or say which one to cancel. Ctrl-C stops an answer, Ctrl-D ends."


class Screen:
    """Shows a conversation: the answer as it streams, each tool call as one dim line."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._mid_line = False

    def report(self, event: Event) -> None:
        """Show what happens."""
        match event:
            case Text(text):
                sys.stdout.write(text)
                sys.stdout.flush()
                self._mid_line = not text.endswith("\n")
            case ToolUse(name, arguments):
                self.end_line()
                given = ", ".join(str(value) for value in arguments.values())
                self._dim(f"→ {name}({given})")
            case ToolResult(outcome):
                self._dim(f"← {_short(outcome)}")

    def end_line(self) -> None:
        """Begin a new line, if one has been begun."""
        if self._mid_line:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._mid_line = False

    def _dim(self, text: str) -> None:
        if not self._output.quiet:
            sys.stderr.write(paint(clean(text, limit=300), "2", sys.stderr) + "\n")
            sys.stderr.flush()


def _short(outcome: Any) -> str:
    if outcome.error is not None:
        return str(outcome.error)
    if outcome.batch is not None and not outcome.text.startswith("Not canceled"):
        return f"{outcome.batch.id}: {outcome.batch.processing_status}"
    return str(outcome.text.splitlines()[0].rstrip(":"))


def _approve(batch: MessageBatch) -> bool:
    return confirm(summary.question(batch))


def _conversation(batches: MessageBatches, model: str, screen: Screen, profile: str | None) -> Conversation:
    try:
        client = anthropic.Anthropic(base_url=sdk_base_url(batches.connection.base_url), profile=profile)
    except (anthropic.AnthropicError, ValueError) as error:
        raise ConfigurationError(f"The SDK could not load a credential: {clean(str(error))}") from error
    approve = _approve if interactive() else None
    return Conversation(client, batches, model=model, approve=approve, report=screen.report)


def ask(batches: MessageBatches, message: str, *, model: str, profile: str | None, output: Output) -> int:
    """Say one thing to Claude and print its answer. Returns the exit code."""
    screen = Screen(output)
    try:
        _conversation(batches, model, screen, profile).say(message)
    except MessageBatchError as error:
        screen.end_line()
        output.warn(summary.failed(error, "ask"))
        return 1
    finally:
        screen.end_line()
    return 0


def chat(batches: MessageBatches, *, model: str, profile: str | None, output: Output) -> int:
    """Hold a conversation until the person ends it. Returns the exit code."""
    screen = Screen(output)
    conversation = _conversation(batches, model, screen, profile)
    read = _prompt() if interactive() else _lines
    if interactive():
        output.say(WELCOME)
    while (message := read()) is not None:
        if not message.strip():
            continue
        if message.strip() in {"exit", "quit"}:
            break
        try:
            conversation.say(message)
        except KeyboardInterrupt:
            screen.end_line()
            output.warn(
                "\nStopped. A request to the API that was under way may have arrived; ask for the batch's status."
            )
        except MessageBatchError as error:
            screen.end_line()
            output.warn(summary.failed(error, "ask"))
        screen.end_line()
    return 0


def _lines() -> str | None:
    """Read what is piped in: each line is something said."""
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _prompt() -> Any:
    """Read from a terminal, where a paste of many lines arrives as one message, as it was meant."""
    from prompt_toolkit import PromptSession  # noqa: PLC0415 - only a person who chats pays for it

    session: PromptSession[str] = PromptSession("> ")

    def read() -> str | None:
        while True:
            try:
                return session.prompt()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    return read
