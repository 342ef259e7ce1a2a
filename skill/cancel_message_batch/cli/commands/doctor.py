"""``cancel-message-batch doctor``: check what is in force and what works."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cancel_message_batch.api.errors import APIStatusError, MessageBatchError
from cancel_message_batch.cli.arguments import add_connection
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import paint

if TYPE_CHECKING:  # --help needs no HTTP client
    from cancel_message_batch.api.client import MessageBatches

# No batch has this id, so canceling it changes nothing: 404 says that the credential may cancel.
_NO_BATCH = "msgbatch_doctor"


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.connection import open_batches

    code = ExitCode.DONE
    with open_batches(given) as batches:
        for well, finding in _findings(batches):
            if output.json:
                output.print(json.dumps({"ok": well, "finding": finding}))
            else:
                output.tell(f"{_mark(well=well)} {finding}")
            code = code if well else ExitCode.FAILED
    return code


def _findings(batches: "MessageBatches") -> Iterator[tuple[bool, str]]:
    """Check one thing after the other; yields whether it is well, and what was found."""
    from cancel_message_batch import summary

    connection = batches.connection
    yield True, f"Credential: {connection.credential}"
    yield True, f"Base URL: {connection.base_url} (from {connection.base_url_source})"
    if workspace := connection.headers.get("anthropic-workspace-id"):
        yield True, f"Workspace: {workspace}"
    try:
        newest = batches.list(limit=1).data
    except MessageBatchError as error:
        yield False, f"List: {summary.failed(error, 'list')}"
        if not isinstance(error, APIStatusError) or error.status == 401:
            return
    else:
        seen = "there is no batch"
        if newest:
            facts = summary.facts(newest[0])
            seen = f"the newest is {facts.id} ({facts.status})"
        yield True, f"List: allowed; {seen}"
    for name, operation in (("Retrieve", batches.retrieve), ("Cancel", batches.cancel)):
        try:
            operation(_NO_BATCH)
        except MessageBatchError as error:
            well = isinstance(error, APIStatusError) and (error.status, error.type) == (404, "not_found_error")
            yield well, f"{name}: {'allowed' if well else _fault(error, name)}"
        else:
            yield False, f"{name}: answered for a batch that does not exist; this is not the Anthropic API"


def _fault(error: MessageBatchError, name: str) -> str:
    from cancel_message_batch import summary

    status = error.status if isinstance(error, APIStatusError) else None
    if status == 403:
        return f"The credential may not {name.lower()} message batches: {error}. Use a key that may."
    if status == 404:
        return f"{error}. That is not how the API says it: check the base URL (ANTHROPIC_BASE_URL)."
    return summary.failed(error, "get")


def _mark(*, well: bool) -> str:
    """Return the sign of a good or a bad finding."""
    try:
        "✓✗".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        signs = ("ok", "FAILED")
    else:
        signs = ("✓", "✗")
    return paint(signs[0], "32", sys.stdout) if well else paint(signs[1], "31", sys.stdout)


COMMAND = Command(
    name="doctor",
    about="Check which credential and base URL are in force, and what they allow.",
    examples=(
        "cancel-message-batch doctor",
        "ANTHROPIC_BASE_URL=http://localhost:8080 cancel-message-batch doctor",
    ),
    arguments=add_connection,
    run=_run,
)
