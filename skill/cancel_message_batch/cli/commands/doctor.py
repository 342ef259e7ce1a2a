"""``cancel-message-batch doctor``: check what is in force and what works."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cancel_message_batch.api.errors import APIStatusError, MessageBatchError, clean
from cancel_message_batch.cli.arguments import add_connection, add_model_url, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import fitted, paint

if TYPE_CHECKING:  # --help needs no HTTP client
    from cancel_message_batch.api.client import MessageBatches

# No batch has this id, so canceling it changes nothing: 404 says that the credential may cancel.
_NO_BATCH = "msgbatch_doctor"
_PATIENCE = 10.0  # seconds to look up the batches that were left behind
# For what works, what fails, and what was not checked: a sign, the same in ASCII, and a colour.
_SIGNS = {True: ("✓", "ok", "32"), False: ("✗", "FAILED", "31"), None: ("·", "-", "2")}


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    code = ExitCode.DONE
    with open_batches(given) as batches:
        for works, finding in _findings(batches, given.model_url):
            code = ExitCode.FAILED if works is False else code
            if output.json:
                output.print(json.dumps({"ok": works is not False, "finding": finding}))
                continue
            sign, plain, color = _SIGNS[works]
            sign = sign if sign.encode(sys.stdout.encoding, "ignore") else plain
            text = fitted(f"{sign} {finding}", sys.stdout)
            output.print(paint(sign, color, sys.stdout) + text.removeprefix(sign))
    return code


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_model_url(parser)
    add_connection(parser)


def _findings(batches: "MessageBatches", model_url: str | None) -> Iterator[tuple[bool | None, str]]:
    """Check one thing after the other; yields whether it works, or None for what is only shown, and what was found."""
    from cancel_message_batch.api.credentials import connect_model
    from cancel_message_batch.words import failures
    from cancel_message_batch.words.facts import facts

    connection = batches.connection
    yield None, f"Credential found: {connection.credential}"
    base_url = clean(connection.base_url, secrets=connection.secrets)
    yield None, f"Base URL: {base_url} (from {connection.base_url_source})"
    if workspace := connection.headers.get("anthropic-workspace-id"):
        yield None, f"Workspace: {workspace} (in the request)"
    if model := connect_model(model_url):
        found = (
            f"Model of ask and chat: at {clean(model.base_url)} (from {model.base_url_source}), with {model.credential}"
        )
        yield None, f"{found}; not checked"
    yield from _record(batches)
    try:
        newest = [facts(batch) for batch in batches.list(limit=1).data]
    except MessageBatchError as error:
        yield False, f"List: {failures.failed(error, 'list')}"
        # If the API has refused only the listing, the other two may still be allowed.
        if not isinstance(error, APIStatusError) or error.status_code in {401, 404} or not error.from_api:
            return
    else:
        yield True, "Credential accepted by the API"
        seen = f"the newest is {newest[0].id} ({newest[0].status})" if newest else "there are no batches"
        yield True, f"List: allowed; {seen}"
    for name, operation in (("Retrieve", batches.retrieve), ("Cancel", batches.cancel)):
        try:
            operation(_NO_BATCH)
        except MessageBatchError as error:
            refusal = error if isinstance(error, APIStatusError) and error.from_api else None
            # The API itself, and not something on the way to it, says that there is no such batch.
            works = refusal is not None and (refusal.status_code, refusal.type) == (404, "not_found_error")
            yield works, f"{name}: {'allowed' if works else _problem(error, name)}"
            if name == "Retrieve" and refusal and refusal.workspace_id:
                yield None, f"Workspace: {refusal.workspace_id} (in the response)"
        else:
            yield False, f"{name}: succeeded for a batch that does not exist, so this is not the Anthropic API"


def _record(batches: "MessageBatches") -> Iterator[tuple[bool | None, str]]:
    """Check the record, and what it knows of batches that were left behind."""
    from cancel_message_batch.cli.recording import hint
    from cancel_message_batch.record.store import open_record

    record = open_record()
    record.check()
    if record.fault:
        yield False if record.path else None, record.fault
        return
    yield None, f"Record of names and history: {clean(str(record.path), limit=400)}"
    if left := hint(batches, record, timeout=_PATIENCE):
        yield None, left


def _problem(error: MessageBatchError, name: str) -> str:
    from cancel_message_batch.words import failures
    from cancel_message_batch.words.facts import from_elsewhere

    if isinstance(error, APIStatusError) and error.status_code == 403:
        words = from_elsewhere(error.api_message, "the API")
        return f"The credential may not {name.lower()} message batches. Use a key that may. {words}"
    if isinstance(error, APIStatusError) and error.status_code == 404:
        return f"{error.brief}. The Anthropic API would say this differently: check the base URL (ANTHROPIC_BASE_URL)."
    return failures.failed(error, "get")


COMMAND = Command(
    name="doctor",
    about="Check which credential and base URL are in use, and what they allow.",
    examples=("cancel-message-batch doctor", "cancel-message-batch doctor --base-url http://localhost:8080"),
    arguments=_arguments,
    run=_run,
    exits={1: "something failed; the output says what"},
)
