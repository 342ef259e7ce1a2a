"""Canceling one batch or many, and reporting each outcome."""

import time
from collections.abc import Mapping, Sequence
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
from cancel_message_batch.words.facts import LookAlikes, facts

from .exit_codes import ExitCode, Interrupted, combined, exit_code
from .output import Output
from .recording import say_where_known
from .reports import canceled_head, canceled_row, for_person, print_batches, print_outcome


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
    """Cancel batches side by side, and print a sum at the end: to a terminal below a table in the order of the ids."""
    import anyio  # one batch needs none of it

    from cancel_message_batch.batches.canceling import CANCEL_TIMEOUT, Progress, cancel_many, client_for_many

    progress = Progress()
    policy = replace(batches.policy, timeout=CANCEL_TIMEOUT if timeout is None else timeout)
    next_message = 0.0
    rows = _Rows(ids, progress.outcomes, output) if for_person(output) else None

    def done(outcome: ToolOutcome) -> None:
        rows.show_answered() if rows else _print_short(outcome, output)

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
        if rows:
            rows.show_rest()
        output.warn(states.interrupted(len(progress.outcomes), lost, unsent, limited=waiting))
        raise Interrupted from None
    outcomes = {name: progress.outcomes[name] for name in ids}
    if rows:
        rows.show_rest()
    if not output.json:
        _sum_up(list(outcomes.values()), output)
    return outcomes


def _print_short(outcome: ToolOutcome, output: Output) -> None:
    """Print one outcome of many: what was accepted in a few words, because the sum explains it."""
    if outcome.batch is None or outcome.result is None or outcome.batch.ended or output.json:
        print_outcome(outcome, output)
    elif not output.quiet:
        output.print_prose(f"{facts(outcome.batch).id} {outcome.result.replace('_', ' ')}")


def _sum_up(outcomes: Sequence[ToolOutcome], output: Output) -> None:
    results, brief = [outcome.result for outcome in outcomes], for_person(output)
    output.say(states.tally_in_short(results) if brief else states.tally(results))
    stopped = [one.batch for one in outcomes if one.batch and one.result != "already_ended"]
    if again := states.may_repeat(known_here(stopped), in_short=brief):
        output.say(again)


class _Rows:
    """The outcomes of many cancels as a table in the order in which the batches were given, shown as they come.

    ``outcomes`` is filled by somebody else.
    """

    def __init__(self, ids: Sequence[str], outcomes: Mapping[str, ToolOutcome], output: Output) -> None:
        self._left = list(reversed(ids))
        self._outcomes = outcomes
        self._output = output
        self._alike = LookAlikes(ids)
        self._texts: list[str] = []  # what a row cannot say: why a cancel failed
        if head := canceled_head():
            output.print(head)

    def show_answered(self) -> None:
        """Show the rows that follow on those already shown."""
        while self._left and self._left[-1] in self._outcomes:
            self._show(self._left.pop())

    def show_rest(self) -> None:
        """Show all outcomes that are not shown yet, and below them what a row cannot say."""
        while self._left:
            if (name := self._left.pop()) in self._outcomes:
                self._show(name)
        for text in self._texts:
            self._output.warn(text)

    def _show(self, name: str) -> None:
        outcome = self._outcomes[name]
        if outcome.batch:
            outcome = replace(outcome, batch=known_here([outcome.batch])[0])
        if outcome.batch is None or outcome.result == "unconfirmed":
            self._texts.append(outcome.text)
        for line in canceled_row(name, outcome, self._alike.difference(name)):
            self._output.print(line)


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
