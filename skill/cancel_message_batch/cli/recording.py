"""What the command line reads from the record."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
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


def left_behind(batches: MessageBatches, output: Output) -> list[MessageBatch]:
    """Return the running batches that were left behind, newest first.

    Raises:
        MessageBatchError: None could be looked up, or the record cannot be used.
    """
    from cancel_message_batch.batches.left_behind import find_left_behind
    from cancel_message_batch.record.store import open_record

    record = open_record()
    running, unknown = find_left_behind(batches, record, timeout=_PATIENCE)
    if text := programs.not_listed(*record.not_judged(origin(batches.connection.base_url))):
        output.say(text)
    trouble = next(filter(None, unknown.values()), None)
    if trouble and not running and not _not_found(trouble):
        raise trouble
    if unknown:
        output.warn(programs.left_behind_unknown(list(unknown), trouble))
    return running


def who_left(batches: MessageBatches) -> Callable[[MessageBatch], tuple[str, dict[str, object]]]:
    """Return what says who left a batch behind: as a sentence, and as members of a JSON object."""
    from cancel_message_batch.record.store import open_record

    creators = open_record().left_behind(origin(batches.connection.base_url))

    def left(batch: MessageBatch) -> tuple[str, dict[str, object]]:
        if (who := creators.get(batch.id)) is None:  # another process has just stopped it
            return "", {}
        ended = who.ended.isoformat() if who.ended else None
        more = {"program": who.program, "pid": who.pid, "host": who.host, "through": who.through}
        text = programs.left_behind_by(
            batch,
            who.program,
            who.pid,
            through=who.through,
            ended=_since(who.ended) if who.ended else None,
            end=who.end,
        )
        return text, {"left_behind": {**more, "end": who.end, "ended_at": ended}}

    return left


def say_what_may_be_ours(batches: MessageBatches, output: Output, matches: Callable[[MessageBatch], bool]) -> None:
    """Show the batches that may have been left behind by a program that died while it created them.

    They go to standard error: nobody stops them by passing on what was listed.
    """
    from cancel_message_batch.batches.left_behind import may_be_ours
    from cancel_message_batch.record.store import open_record

    for batch, intent in may_be_ours(batches, open_record(output.warn)):
        if matches(batch):
            who = intent.creator
            began, counted = _since(intent.at), intent.requests
            output.warn(programs.may_be_yours(batch, began, who.program, who.pid, end=who.end, counted=counted))


def _not_found(error: MessageBatchError | None) -> bool:
    return isinstance(error, APIStatusError) and error.status_code == 404


def _since(time: datetime) -> float:
    return (datetime.now(UTC) - time).total_seconds()  # by the clock that wrote the time


def hint(batches: MessageBatches, record: "Record", *, timeout: float) -> str:
    """Return what to tell a person about batches that were left behind: nothing if there are none."""
    from cancel_message_batch.batches.left_behind import find_left_behind

    try:
        running, _ = find_left_behind(batches, record, timeout=timeout, recent=True)
    except MessageBatchError:  # the record has warned
        return ""
    return programs.left_behind([batch for batch in running if batch.processing_status == "in_progress"])
