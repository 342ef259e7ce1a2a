"""Canceling one batch or many, and reporting each outcome."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cancel_message_batch.api.client import MessageBatches, with_policy
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.api.retries import refused_by_limit
from cancel_message_batch.tools import CANCEL, GET, ToolOutcome
from cancel_message_batch.words import states

from .exit_codes import ExitCode, Interrupted, combined, exit_code
from .output import Output
from .recording import say_where_known
from .reports import print_batches, print_outcome

# Notes what cancels came to, by id; None stands for an answer that was not awaited.
Note = Callable[[Mapping[str, ToolOutcome | None]], None]


def cancel_one(batches: MessageBatches, message_batch_id: str, output: Output, note: Note) -> ToolOutcome:
    """Cancel one batch, print the outcome, and then note it."""
    waits_until = 0.0

    def pausing(error: MessageBatchError, seconds: float) -> None:
        nonlocal waits_until
        waits_until = time.monotonic() + seconds if refused_by_limit(error) else 0.0

    try:
        noting = with_policy(batches, replace(batches.policy, on_pause=pausing))
        outcome = CANCEL.run({"message_batch_id": message_batch_id}, noting)
    except KeyboardInterrupt:
        waits = time.monotonic() < waits_until
        ids = [message_batch_id]
        output.warn(states.interrupted(0, [] if waits else ids, [], limited=ids if waits else []))
        note({} if waits else {message_batch_id: None})
        raise Interrupted from None
    print_outcome(outcome, output)
    say_where_known({message_batch_id: outcome}, batches, output)
    note({message_batch_id: outcome})
    return outcome


def cancel_all(
    batches: MessageBatches, ids: Sequence[str], *, timeout: float | None, output: Output, note: Note
) -> list[ToolOutcome]:
    """Cancel batches side by side and print each outcome as it comes, and a sum at the end; then note them."""
    import anyio  # one batch needs none of it

    from cancel_message_batch.batches.canceling import CANCEL_TIMEOUT, Progress, cancel_many, client_for_many

    def done(outcome: ToolOutcome) -> None:
        if outcome.batch is None or outcome.result is None or outcome.batch.ended or output.json:
            print_outcome(outcome, output)
        elif not output.quiet:
            output.print_prose(states.brief(outcome.batch, outcome.result))

    told_until = 0.0

    def limited(seconds: float) -> None:
        nonlocal told_until
        if seconds >= 1 and time.monotonic() >= told_until:  # once for all that wait at the same time
            told_until = time.monotonic() + max(seconds, 10)
            output.say(states.limited(seconds))

    progress = Progress()
    policy = replace(batches.policy, timeout=CANCEL_TIMEOUT if timeout is None else timeout)

    async def work() -> None:
        async with client_for_many(batches.connection) as many:
            await cancel_many(many, ids, done, limited=limited, policy=policy, progress=progress)

    try:
        anyio.run(work)
    except KeyboardInterrupt:
        waiting = [name for name in ids if progress.limited.get(name, 0) > time.monotonic()]
        open_ids = progress.sent - progress.outcomes.keys() - set(waiting)
        lost = [name for name in ids if name in open_ids]
        unsent = [name for name in ids if name not in progress.sent]
        output.warn(states.interrupted(len(progress.outcomes), lost, unsent, limited=waiting))
        note({**progress.outcomes, **dict.fromkeys(lost)})
        raise Interrupted from None
    outcomes = [progress.outcomes[name] for name in ids]
    if not output.json:
        output.say(states.tally([outcome.result for outcome in outcomes]))
    say_where_known(progress.outcomes, batches, output)
    note(progress.outcomes)
    return outcomes


def dry_run(batches: MessageBatches, ids: Sequence[str], known: Sequence[MessageBatch], output: Output) -> ExitCode:
    """Show what would be canceled. ``known`` holds the batches, or is empty when only their ids are known."""
    outcomes = [] if known else [GET.run({"message_batch_id": name}, batches) for name in ids]
    found = list(known) or [outcome.batch for outcome in outcomes if outcome.batch]
    for outcome in outcomes:
        if outcome.is_error:
            output.warn(outcome.text)
    print_batches(found, output)
    output.say(states.dry_run(found))
    return combined([exit_code(outcome) for outcome in outcomes])
