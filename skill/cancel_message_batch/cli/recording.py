"""What the command line writes into the record, once the person was told, and what it reads there."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cancel_message_batch import words
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import APIStatusError, ConfigurationError, InvalidInputError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.tools import ToolOutcome

from .output import Output

if TYPE_CHECKING:  # a plain command does without it until its work is done
    from cancel_message_batch.record.store import Record

_PATIENCE = 30.0  # seconds in which all are looked up


def note_cancels(
    outcomes: Mapping[str, ToolOutcome | None],
    warn: Callable[[str], None],
    *,
    through: str,
    consent: str | None = None,
    words: str | None = None,
) -> None:
    """Note cancels that were sent, in one transaction.

    Args:
        outcomes: What each came to, by id; None where the answer was not awaited.
        warn: Tells the person that the record cannot be used.
        through: What the person used.
        consent: How they agreed to it.
        words: What they said.
    """
    from cancel_message_batch.record.store import Action, open_record

    open_record(warn).add_action(
        *(
            Action(
                name,
                through,
                "cancel",
                consent=consent,
                words=words,
                answer=outcome.answer if outcome else "interrupted before the answer came",
                origin=outcome.batch.context.origin if outcome and outcome.batch else None,
                workspace=outcome.batch.context.workspace if outcome and outcome.batch else None,
            )
            for name, outcome in outcomes.items()
            if outcome is None or not (outcome.declined or _unsent(outcome.error))
        )
    )


def _unsent(error: MessageBatchError | None) -> bool:
    return isinstance(error, InvalidInputError | ConfigurationError) and not error.may_have_arrived


def tell_elsewhere(outcomes: Mapping[str, ToolOutcome], batches: MessageBatches, output: Output) -> None:
    """Tell the person where the record knows batches from that were not found."""
    missing = {
        name: outcome.error
        for name, outcome in outcomes.items()
        if isinstance(outcome.error, APIStatusError) and outcome.error.status_code == 404
    }
    if not missing:
        return
    from cancel_message_batch.record.store import open_record

    record, connection = open_record(lambda _: None), batches.connection
    for name, error in missing.items():
        known = record.known(name)
        if known is None:
            continue
        if known.origin not in {None, origin(connection.base_url)}:
            output.warn(words.known_elsewhere(name, f"another base URL, {known.origin}"))
        elif known.workspace not in {None, error.workspace_id or connection.headers.get("anthropic-workspace-id")}:
            output.warn(words.known_elsewhere(name, f"the workspace {known.workspace}"))


def orphaned(batches: MessageBatches, output: Output) -> tuple[MessageBatch, ...]:
    """Return the batches, not ended, whose program is gone, newest first.

    Raises:
        MessageBatchError: The record cannot be used, or none of them could be looked up.
    """
    from cancel_message_batch.batches.orphans import find_orphans
    from cancel_message_batch.record.store import open_record

    record = open_record(lambda _: None)
    found = find_orphans(batches, record, timeout=_PATIENCE)
    if not (found.running or found.unknown) and record.fault:
        raise MessageBatchError(record.fault)
    not_found = isinstance(found.trouble, APIStatusError) and found.trouble.status_code == 404
    if found.trouble and not found.running and not not_found:
        raise found.trouble
    if found.unknown:
        output.warn(words.orphans_unknown(found.unknown, found.trouble))
    return found.running


def hint(batches: MessageBatches, record: "Record", *, timeout: float) -> str:
    """Return what to tell a person about batches whose program is gone; nothing when none runs, or none is known."""
    from cancel_message_batch.batches.orphans import find_orphans

    found = find_orphans(batches, record, timeout=timeout)
    return words.orphans([batch for batch in found.running if batch.processing_status == "in_progress"])
