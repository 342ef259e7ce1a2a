"""The terminal's side of the conversation with Claude: ``ask`` and ``chat``."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic

from cancel_message_batch import summary
from cancel_message_batch.agent.conversation import Conversation, Event, Text, ToolResult, ToolUse
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import Connection, sdk_base_url
from cancel_message_batch.api.errors import ConfigurationError, MessageBatchError, clean
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.tools import CANCEL, ToolOutcome

from .terminal import Output, Prose, confirm, fitted, interactive, paint

WELCOME = "Ask about your message batches, or say which one to cancel. Ctrl-C stops an answer, Ctrl-D ends."


class Screen:
    """Shows a conversation, and asks the person: the answer as it streams, each tool call as one dim line."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._answer = Prose(sys.stdout)
        self._canceling = ""

    def report(self, event: Event) -> None:
        """Show what happens."""
        match event:
            case Text(text):
                self._answer.write(text)
            case ToolUse(name, arguments):
                self._answer.end()
                given = ", ".join(str(value) for value in arguments.values())
                self._dim(f"→ {name}({given})")
                self._canceling = given if name == CANCEL.name else ""
            case ToolResult(outcome):
                self._canceling = ""
                self._dim(f"← {_short(outcome)}")

    def approve(self, batch: MessageBatch) -> bool:
        """Ask whether a batch may be canceled. Nothing has been sent for it until the answer."""
        self._canceling = ""
        answer = confirm(summary.question(batch))
        self._canceling = batch.id if answer else ""
        return answer

    def stopped(self) -> None:
        """Tell what an interruption left."""
        self._answer.end()
        self._output.warn(f"\n{summary.stopped(clean(self._canceling))}")
        self._canceling = ""

    def end(self) -> None:
        """End the line, if one has been begun."""
        self._answer.end()

    def _dim(self, text: str) -> None:
        if not self._output.quiet:
            lines = fitted(clean(text, limit=300), sys.stderr).splitlines()
            self._output.show(paint(line, "2", sys.stderr) for line in lines)


def _short(outcome: ToolOutcome) -> str:
    if outcome.error is not None:
        return str(outcome.error)
    if outcome.batch is not None and not outcome.text.startswith("Not canceled"):
        return f"{outcome.batch.id}: {outcome.batch.processing_status}"
    return outcome.text.splitlines()[0].rstrip(":")


@dataclass(frozen=True)
class Settings:
    """How to talk with the model.

    Args:
        model: The model's id.
        profile: A profile of the official SDK, by its name.
        timeout: Seconds that each request to the model may take; None leaves it to the SDK.
        max_retries: How often each is sent again.
    """

    model: str
    profile: str | None
    timeout: float | None
    max_retries: int


@contextlib.contextmanager
def _conversation(batches: MessageBatches, settings: Settings, screen: Screen) -> Iterator[Conversation]:
    connection = batches.connection
    try:
        client = anthropic.Anthropic(
            base_url=sdk_base_url(connection.base_url),
            timeout=settings.timeout or anthropic.not_given,
            max_retries=settings.max_retries,
            # Custom headers, and all that was said, would follow a redirect to any host.
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False),
            **(_credential(connection) or {"profile": settings.profile}),
        )
    except (anthropic.AnthropicError, ValueError) as error:
        shown = clean(str(error), secrets=connection.secrets)
        raise ConfigurationError(f"The SDK could not load a credential: {shown}") from error
    approve = screen.approve if interactive() else None
    with client:
        yield Conversation(
            client,
            batches,
            model=settings.model,
            approve=approve,
            report=screen.report,
            secrets=connection.secrets,
        )


def _credential(connection: Connection) -> dict[str, Any]:
    """The credential in force, for the SDK's client, which then looks for none; empty where the SDK found it."""
    if connection.api_key:
        return {"api_key": connection.api_key}
    if connection.auth_token:
        return {"auth_token": connection.auth_token}
    if connection.auth is not None:
        return {}
    # ANTHROPIC_CUSTOM_HEADERS, which the SDK reads too: no second credential may go out beside it.
    second = {} if "authorization" in connection.headers else {"Authorization": anthropic.omit}
    return {"auth_token": next(iter(connection.secrets), ""), "default_headers": second}


def ask(batches: MessageBatches, message: str, settings: Settings, output: Output) -> int:
    """Say one thing to Claude and print its answer. Returns the exit code."""
    screen = Screen(output)
    try:
        with _conversation(batches, settings, screen) as conversation:
            conversation.say(message)
    except KeyboardInterrupt:
        screen.stopped()
        raise KeyboardInterrupt("told") from None
    except MessageBatchError as error:
        screen.end()
        output.warn(summary.failed(error, "ask"))
        return 1
    screen.end()
    return 0


def chat(batches: MessageBatches, settings: Settings, output: Output) -> int:
    """Hold a conversation until the person ends it. Returns the exit code."""
    screen = Screen(output)
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    read = _prompt() if interactive() else _lines
    with _conversation(batches, settings, screen) as conversation:
        if interactive():
            output.say(WELCOME)
        _converse(conversation, read, screen, output)
    return 0


def _converse(conversation: Conversation, read: Callable[[], str | None], screen: Screen, output: Output) -> None:
    while (message := read()) is not None:
        if not message.strip():
            continue
        if message.strip() in {"exit", "quit"}:
            break
        try:
            conversation.say(message)
            screen.end()
        except KeyboardInterrupt:
            screen.stopped()
        except MessageBatchError as error:
            screen.end()
            output.warn(summary.failed(error, "ask"))


def _lines() -> str | None:
    """Read what is piped in: each line is something said."""
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _prompt() -> Any:
    """Read from a terminal, where a paste of many lines arrives as one message, as it was meant."""
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
