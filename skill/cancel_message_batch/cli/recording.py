"""What the command line reads from the record."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import APIStatusError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.tools import ToolOutcome
from cancel_message_batch.words import programs

from .output import Output

if TYPE_CHECKING:  # imported only once a command's work is done
    from cancel_message_batch.record.store import Record

_PATIENCE = 30.0  # seconds to look them all up


def say_where_known(outcomes: Mapping[str, ToolOutcome], batches: MessageBatches, output: Output) -> None:
    """If a batch was not found, and the record knows it from another base URL or workspace, say so."""
    missing = {name: outcome.error for name, outcome in outcomes.items() if _not_found(outcome.error)}
    if not missing:
        return
    from cancel_message_batch.record.store import open_record

    record, connection = open_record(), batches.connection
    for name, error in missing.items():
        known = record.known(name, origin(connection.base_url))
        if known is None:
            continue
        here = getattr(error, "workspace_id", None) or connection.headers.get("anthropic-workspace-id")
        if known.origin not in {None, origin(connection.base_url)}:
            output.warn(programs.known_elsewhere(name, f"another base URL, {known.origin}"))
        elif known.workspace not in {None, here}:
            output.warn(programs.known_elsewhere(name, f"the workspace {known.workspace}"))


def orphaned(batches: MessageBatches, output: Output) -> list[MessageBatch]:
    """Return the running batches whose program is gone, newest first; raise if none could be looked up."""
    from cancel_message_batch.batches.orphans import find_orphans
    from cancel_message_batch.record.store import open_record

    record = open_record()
    running, unknown = find_orphans(batches, record, timeout=_PATIENCE)
    if not (running or unknown) and record.fault:
        raise MessageBatchError(record.fault)
    trouble = next(filter(None, unknown.values()), None)
    if trouble and not running and not _not_found(trouble):
        raise trouble
    if unknown:
        output.warn(programs.orphans_unknown(list(unknown), trouble))
    return running


def _not_found(error: MessageBatchError | None) -> bool:
    return isinstance(error, APIStatusError) and error.status_code == 404


def hint(batches: MessageBatches, record: "Record", *, timeout: float) -> str:
    """Return what to tell a person about batches whose program is gone: nothing if there are none."""
    from cancel_message_batch.batches.orphans import find_orphans

    running, _ = find_orphans(batches, record, timeout=timeout)
    return programs.orphans([batch for batch in running if batch.processing_status == "in_progress"])
