"""Checks what is in force and what works, for somebody whose command does not."""

from collections.abc import Iterator

from cancel_message_batch import summary
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import shown_url
from cancel_message_batch.api.errors import APIStatusError, MessageBatchError

# No batch has this id, so canceling it changes nothing: 404 says that the credential may cancel.
NO_BATCH = "msgbatch_doctor"


def examine(batches: MessageBatches) -> Iterator[tuple[bool, str]]:
    """Yield what was found: whether it is well, and what it is."""
    connection = batches.connection
    yield True, f"Credential: {connection.credential}"
    yield True, f"Base URL: {shown_url(connection.base_url)} (from {connection.base_url_source})"
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
            seen = f"the newest is {summary.shown_id(newest[0])} ({summary.shown_status(newest[0])})"
        yield True, f"List: allowed; {seen}"
    for name, operation in (("Retrieve", batches.retrieve), ("Cancel", batches.cancel)):
        try:
            operation(NO_BATCH)
        except MessageBatchError as error:
            well = isinstance(error, APIStatusError) and (error.status, error.type) == (404, "not_found_error")
            yield well, f"{name}: {'allowed' if well else _fault(error, name)}"
        else:
            yield False, f"{name}: answered for a batch that does not exist; this is not the Anthropic API"


def _fault(error: MessageBatchError, name: str) -> str:
    status = error.status if isinstance(error, APIStatusError) else None
    if status == 403:
        return f"The credential may not {name.lower()} message batches: {error}. Use a key that may."
    if status == 404:
        return f"{error}. That is not how the API says it: check the base URL (ANTHROPIC_BASE_URL)."
    return summary.failed(error, "get")
