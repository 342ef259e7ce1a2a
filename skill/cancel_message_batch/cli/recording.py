"""What commands write into the record and read from it, after the person was told what happened."""

from collections.abc import Callable, Mapping

from cancel_message_batch import summary
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import APIStatusError, ConfigurationError, InvalidInputError
from cancel_message_batch.tools import ToolOutcome

from .output import Output


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
    from cancel_message_batch.record import Action, open_record

    open_record(warn).add_action(
        *(
            Action(
                name,
                through,
                "cancel",
                consent=consent,
                words=words,
                answer=_answer(outcome),
                origin=outcome.batch.origin if outcome and outcome.batch else None,
                workspace=outcome.batch.workspace if outcome and outcome.batch else None,
            )
            for name, outcome in outcomes.items()
            if outcome is None
            or not (outcome.declined or isinstance(outcome.error, InvalidInputError | ConfigurationError))
        )
    )


def _answer(outcome: ToolOutcome | None) -> str:
    if outcome is None:
        return "interrupted before the answer came"
    return str(outcome.error or (outcome.result or outcome.headline).replace("_", " "))


def tell_elsewhere(outcomes: Mapping[str, ToolOutcome], batches: MessageBatches, output: Output) -> None:
    """Tell the person where the record knows batches from that were not found."""
    missing = {
        name: outcome.error
        for name, outcome in outcomes.items()
        if isinstance(outcome.error, APIStatusError) and outcome.error.status == 404
    }
    if not missing:
        return
    from cancel_message_batch.record import open_record

    record, connection = open_record(lambda _: None), batches.connection
    for name, error in missing.items():
        known = record.known(name)
        if known is None:
            continue
        if known.origin not in {None, origin(connection.base_url)}:
            output.warn(summary.known_elsewhere(name, f"another base URL, {known.origin}"))
        elif known.workspace not in {None, error.workspace or connection.headers.get("anthropic-workspace-id")}:
            output.warn(summary.known_elsewhere(name, f"the workspace {known.workspace}"))
