"""``cancel-message-batch doctor``: check what is in force and what works."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cancel_message_batch.api.errors import APIStatusError, MessageBatchError, clean
from cancel_message_batch.cli.arguments import add_connection, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.terminal import fitted, paint

if TYPE_CHECKING:  # --help needs no HTTP client
    from cancel_message_batch.api.client import MessageBatches

# No batch has this id, so canceling it changes nothing: 404 says that the credential may cancel.
_NO_BATCH = "msgbatch_doctor"
_PATIENCE = 10.0  # seconds in which batches whose program is gone are looked up


def _run(given: argparse.Namespace, output: Output) -> ExitCode:

    code = ExitCode.DONE
    with open_batches(given) as batches:
        for well, finding in _findings(batches):
            if output.json:
                output.print(json.dumps({"ok": well is not False, "finding": finding}))
            else:
                sign, color = _mark(well=well)
                told = fitted(f"{sign} {finding}", sys.stdout)
                output.print(paint(sign, color, sys.stdout) + told.removeprefix(sign))
            code = ExitCode.FAILED if well is False else code
    return code


def _findings(batches: "MessageBatches") -> Iterator[tuple[bool | None, str]]:
    """Check one thing after the other; yields whether it is well, None where that is not known, and what was found."""
    from cancel_message_batch.words import failures
    from cancel_message_batch.words.facts import facts

    connection = batches.connection
    yield None, f"Credential found: {connection.credential}"
    base_url = clean(connection.base_url, secrets=connection.secrets)
    yield None, f"Base URL: {base_url} (from {connection.base_url_source})"
    if workspace := connection.headers.get("anthropic-workspace-id"):
        yield None, f"Workspace: {workspace} (in the request)"
    yield from _record(batches)
    try:
        newest = batches.list(limit=1).data
    except MessageBatchError as error:
        yield False, f"List: {failures.failed(error, 'list')}"
        # Where the API has refused no more than the listing, the other two may still be allowed.
        if not isinstance(error, APIStatusError) or error.status_code in {401, 404} or not error.from_api:
            return
    else:
        seen = "there is no batch"
        if newest:
            known = facts(newest[0])
            seen = f"the newest is {known.id} ({known.status})"
        yield True, "Credential accepted by the API"
        yield True, f"List: allowed; {seen}"
    for name, operation in (("Retrieve", batches.retrieve), ("Cancel", batches.cancel)):
        try:
            operation(_NO_BATCH)
        except MessageBatchError as error:
            # The API itself, and not something on the way to it, says that there is no such batch.
            answer = (error.status_code, error.type, error.from_api) if isinstance(error, APIStatusError) else None
            well = answer == (404, "not_found_error", True)
            yield well, f"{name}: {'allowed' if well else _fault(error, name)}"
            if name == "Retrieve" and isinstance(error, APIStatusError) and error.workspace_id:
                yield None, f"Workspace: {error.workspace_id} (in the response)"
        else:
            yield False, f"{name}: answered for a batch that does not exist; this is not the Anthropic API"


def _record(batches: "MessageBatches") -> Iterator[tuple[bool | None, str]]:
    """Check the record, and what it knows of batches whose program is gone."""
    from cancel_message_batch.cli.recording import hint
    from cancel_message_batch.record.store import open_record

    record = open_record()
    record.check()
    if record.fault:
        yield False if record.path else None, record.fault
        return
    yield None, f"Record of names and history: {clean(str(record.path), limit=400)}"
    if told := hint(batches, record, timeout=_PATIENCE):
        yield None, told


def _fault(error: MessageBatchError, name: str) -> str:
    from cancel_message_batch.words import failures

    status = error.status_code if isinstance(error, APIStatusError) else None
    if status == 403:
        return f"The credential may not {name.lower()} message batches: {error}. Use a key that may."
    if status == 404:
        return f"{error}. The Anthropic API says it in another way: check the base URL (ANTHROPIC_BASE_URL)."
    return failures.failed(error, "get")


def _mark(*, well: bool | None) -> tuple[str, str]:
    """Return the sign and the color of a good or a bad finding, or of one that was not checked."""
    signs = {True: ("✓", "ok", "32"), False: ("✗", "FAILED", "31"), None: ("·", "-", "2")}
    sign, plain, color = signs[well]
    try:
        sign.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        sign = plain
    return sign, color


COMMAND = Command(
    name="doctor",
    about="Check which credential and base URL are in force, and what they allow.",
    examples=("cancel-message-batch doctor", "cancel-message-batch doctor --base-url http://localhost:8080"),
    arguments=add_connection,
    run=_run,
    exits={1: "something failed, which the command names"},
)
