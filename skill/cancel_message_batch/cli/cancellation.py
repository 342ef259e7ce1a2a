"""Canceling one batch or many, and reporting each outcome."""

import time
from collections.abc import Sequence
from dataclasses import replace

from cancel_message_batch.api.client import MessageBatches, with_policy
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.retries import refused_by_limit
from cancel_message_batch.batches.listing import look_up
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.record.names import known_here
from cancel_message_batch.tools import CANCEL, ToolOutcome
from cancel_message_batch.words import states
from cancel_message_batch.words.facts import facts

from .exit_codes import ExitCode, Interrupted, combined, exit_code
from .output import Output
from .recording import say_where_known
from .reports import print_batches, print_outcome


def cancel(
    batches: MessageBatches, ids: Sequence[str], *, timeout: float | None, output: Output, notes: CancelNotes
) -> dict[str, ToolOutcome]:
    """Cancel batches (several: in ``timeout`` seconds each), print each outcome as it comes, and then note them all."""
    with notes:
        if len(ids) == 1:
            outcomes = {ids[0]: _cancel_one(batches, ids[0], output, notes)}
        else:
            outcomes = _cancel_many(batches, ids, timeout, output, notes)
        say_where_known(outcomes, batches, output)
    return outcomes


def _cancel_one(batches: MessageBatches, message_batch_id: str, output: Output, notes: CancelNotes) -> ToolOutcome:
    limited_until = 0.0

    def pausing(error: MessageBatchError, seconds: float) -> None:
        nonlocal limited_until
        limited_until = time.monotonic() + seconds if refused_by_limit(error) else 0.0

    try:
        watched = with_policy(batches, replace(batches.policy, on_pause=pausing))
        outcome = CANCEL.run({"message_batch_id": message_batch_id}, watched, notes=notes)
    except KeyboardInterrupt:
        limited, sent = ([message_batch_id], []) if time.monotonic() < limited_until else ([], [message_batch_id])
        notes.discard(limited)
        output.warn(states.interrupted(0, sent, [], limited=limited))
        raise Interrupted from None
    print_outcome(outcome, output)
    return outcome


def _cancel_many(
    batches: MessageBatches, ids: Sequence[str], timeout: float | None, output: Output, notes: CancelNotes
) -> dict[str, ToolOutcome]:
    """Cancel batches side by side, and print a sum at the end."""
    import anyio  # one batch needs none of it

    from cancel_message_batch.batches.canceling import CANCEL_TIMEOUT, Progress, cancel_many, client_for_many

    progress = Progress()
    policy = replace(batches.policy, timeout=CANCEL_TIMEOUT if timeout is None else timeout)
    next_message = 0.0

    def done(outcome: ToolOutcome) -> None:
        if outcome.batch is None or outcome.result is None or outcome.batch.ended or output.json:
            print_outcome(outcome, output)
        elif not output.quiet:
            output.print_prose(f"{facts(outcome.batch).id} {outcome.result.replace('_', ' ')}")

    def limited(seconds: float) -> None:
        nonlocal next_message
        if seconds >= 1 and time.monotonic() >= next_message:  # once for all that wait at the same time
            next_message = time.monotonic() + max(seconds, 10)
            output.say(states.limited(seconds))

    async def work() -> None:
        async with client_for_many(batches.connection) as client:
            await cancel_many(client, ids, done, limited=limited, policy=policy, progress=progress, notes=notes)

    try:
        anyio.run(work)
    except KeyboardInterrupt:
        waiting = [name for name in ids if progress.limited.get(name, 0) > time.monotonic()]
        unanswered = progress.sent - progress.outcomes.keys() - set(waiting)
        lost = [name for name in ids if name in unanswered]
        unsent = [name for name in ids if name not in progress.sent]
        notes.discard(waiting)
        output.warn(states.interrupted(len(progress.outcomes), lost, unsent, limited=waiting))
        raise Interrupted from None
    outcomes = {name: progress.outcomes[name] for name in ids}
    if not output.json:
        output.say(states.tally([outcome.result for outcome in outcomes.values()]))
        stopped = [one.batch for one in outcomes.values() if one.batch and one.result != "already_ended"]
        if again := states.may_repeat(known_here(stopped)):
            output.say(again)
    return outcomes


def dry_run(batches: MessageBatches, ids: Sequence[str], known: Sequence[MessageBatch], output: Output) -> ExitCode:
    """Show what would be canceled. ``known`` holds the batches, or is empty when only their ids are known."""
    outcomes = [] if known else [outcome for _, outcome in look_up(batches, ids)]
    found = list(known) or [outcome.batch for outcome in outcomes if outcome.batch]
    for outcome in outcomes:
        if outcome.is_error:
            output.warn(outcome.text)
    print_batches(found, output)
    output.say(states.dry_run(found))
    return combined([exit_code(outcome) for outcome in outcomes])
