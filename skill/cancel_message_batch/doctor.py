"""Checks what is in force and what works, for somebody whose command does not."""

from collections.abc import Iterator

from . import summary
from .client import MessageBatches
from .errors import APIStatusError, MessageBatchError

# No batch has this id, so canceling it changes nothing: 404 says that the credential may cancel.
NO_BATCH = "msgbatch_doctor"


def examine(batches: MessageBatches) -> Iterator[tuple[bool, str]]:
    """Yield what was found: whether it is well, and what it is."""
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
        seen = f"the newest is {newest[0].id} ({newest[0].processing_status})" if newest else "there is no batch"
        yield True, f"List: allowed; {seen}"
    for name, operation in (("Retrieve", batches.retrieve), ("Cancel", batches.cancel)):
        try:
            operation(NO_BATCH)
        except APIStatusError as error:
            if error.status == 404:
                yield True, f"{name}: allowed"
            else:
                yield False, f"{name}: {summary.failed(error, 'get')}"
        except MessageBatchError as error:
            yield False, f"{name}: {summary.failed(error, 'get')}"
        else:
            yield False, f"{name}: answered for a batch that does not exist; this is not the Anthropic API"
