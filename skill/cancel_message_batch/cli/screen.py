"""A conversation with Claude on the screen, for ``ask`` and ``chat``."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import anthropic

from cancel_message_batch.agent import DEFAULT_MODEL, Conversation, Event, Incomplete, Text, ToolResult, ToolUse
from cancel_message_batch.agent.model_server import model_client
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import Connection, connect_model, model_place, sdk_base_url
from cancel_message_batch.api.errors import ConfigurationError, InvalidInputError, MessageBatchError, clean
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.tools import CANCEL, ToolOutcome
from cancel_message_batch.words import failures, states

from .arguments import results_tools
from .exit_codes import ExitCode, Interrupted, UsageError, combined
from .output import Output
from .terminal import Prose, confirm, fitted, interactive, paint


class Screen:
    """Shows a conversation: the answers as they stream in, and each tool call as one dim line. Asks the person."""

    def __init__(
        self,
        client: anthropic.Anthropic,
        batches: MessageBatches,
        given: argparse.Namespace,
        output: Output,
        *,
        through: str,
        place: str,
    ) -> None:
        self._outcomes: dict[tuple[str, str], ToolOutcome] = {}  # the last of each call, by tool and id
        self._complete = True  # whether each answer was
        self._output = output
        self._place = place  # of the model, if it is not where the batches are
        self._answer = Prose(sys.stdout)
        self._call = ("", "")
        self._canceling = ""
        self._unknown: list[str] = []  # what holds after each cancel of this turn whose outcome is not known
        self._conversation = Conversation(
            client,
            batches,
            model=given.model or os.environ.get("ANTHROPIC_MODEL") or DEFAULT_MODEL,
            approve=self._approve if interactive() else None,
            may_cancel=getattr(given, "may_cancel", ()),
            report=self._report,
            more=results_tools(given),
            notes=CancelNotes(through, warn=output.warn),
        )

    def say(self, message: str, *, may_order: bool = True) -> bool:
        """Say something to the model and show the answer; returns False if the model could not be asked."""
        self._unknown.clear()
        try:
            self._conversation.say(message, may_order=may_order)
        except MessageBatchError as error:
            self._answer.end()
            for text in self._unknown:
                self._output.warn(text)
            self._output.warn(
                failures.model_failed(error, self._place) if self._place else failures.failed(error, "ask")
            )
            return False
        except KeyboardInterrupt:
            self._answer.end()
            self._output.warn(f"\n{states.stopped(clean(self._canceling))}")
            self._canceling = ""
            raise Interrupted from None
        self._answer.end()
        return True

    def exit_code(self) -> ExitCode:
        """Return the exit code for the whole conversation, after telling the person what was not done without a yes."""
        codes = [] if self._complete else [ExitCode.FAILED]
        for (tool, message_batch_id), outcome in self._outcomes.items():
            if outcome.error is not None:
                # An argument that the model got wrong matters only if it kept a batch from being canceled.
                if tool == CANCEL.name or not isinstance(outcome.error, InvalidInputError):
                    codes.append(ExitCode.FAILED)
            elif outcome.declined:
                self._output.warn(states.needs_yes(message_batch_id))
                codes.append(ExitCode.NO_CONSENT)
            elif tool == CANCEL.name:
                codes.append(ExitCode.DONE)
        return combined(codes)

    def _report(self, event: Event) -> None:
        match event:
            case Text(text):
                self._answer.write(text)
            case Incomplete(text):
                self._answer.write(text)
                self._complete = False
            case ToolUse(name, arguments):
                self._answer.end()
                given = ", ".join(str(value) for value in arguments.values())
                self._dim(f"→ {name} {given}")
                self._call = (name, given)
                self._canceling = given if name == CANCEL.name else ""
            case ToolResult(outcome):
                self._outcomes[self._call] = outcome
                self._canceling = ""
                if self._call[0] == CANCEL.name and outcome.error and outcome.error.may_have_arrived:
                    self._unknown.append(outcome.text)
                self._dim(f"← {outcome.headline}")

    def _approve(self, batch: MessageBatch) -> bool:
        """Ask whether a batch may be canceled. No cancel has been sent for it before the answer."""
        self._canceling = ""
        answer = confirm(states.question(batch))
        if answer:
            self._canceling = batch.id
        return answer

    def _dim(self, text: str) -> None:
        if not self._output.quiet:
            lines = fitted(clean(text, limit=300), sys.stderr).splitlines()
            self._output.show(paint(line, "2", sys.stderr) for line in lines)


@contextlib.contextmanager
def open_screen(batches: MessageBatches, given: argparse.Namespace, output: Output, through: str) -> Iterator[Screen]:
    """Begin the conversation that the command line's flags describe, for the command ``through``."""
    place = ""
    if of_the_model := connect_model(given.model_url):
        place = model_place(of_the_model.base_url)
        if not (given.model or os.environ.get("ANTHROPIC_MODEL")):
            raise UsageError(failures.unnamed_model(of_the_model.base_url))
        client: anthropic.Anthropic = model_client(of_the_model, timeout=given.timeout, max_retries=given.max_retries)
    else:
        client = _client_of_the_batches(batches.connection, given)
    with client:
        yield Screen(client, batches, given, output, through=through, place=place)


def _client_of_the_batches(connection: Connection, given: argparse.Namespace) -> anthropic.Anthropic:
    """Return a client with the batches' credential and base URL."""
    try:
        return anthropic.Anthropic(
            base_url=sdk_base_url(connection.base_url),
            timeout=given.timeout or anthropic.not_given,
            max_retries=given.max_retries,
            # Custom headers, and the whole conversation, would follow a redirect to any host.
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False),
            **(_credential(connection) or {"profile": given.profile}),
        )
    except (anthropic.AnthropicError, ValueError) as error:
        shown = clean(str(error), secrets=connection.secrets)
        raise ConfigurationError(f"The SDK could not load a credential: {shown}") from error


def _credential(connection: Connection) -> dict[str, Any]:
    """Return the credential in force as arguments of the SDK's client; none if the SDK itself found it."""
    if connection.api_key:
        return {"api_key": connection.api_key}
    if connection.auth_token:
        return {"auth_token": connection.auth_token}
    if connection.auth is not None:
        return {}
    # The credential is in ANTHROPIC_CUSTOM_HEADERS, which the SDK reads too: no second one may go out beside it.
    second = {} if "authorization" in connection.headers else {"Authorization": anthropic.omit}
    return {"auth_token": next(iter(connection.secrets), ""), "default_headers": second}
