"""What is said about the state of a batch: accepted, already ended, still canceling.

Pure functions of a state. Each sentence must be true with every answer the API may give. Before a batch has ended, all
its counts but one may be zero, so a count of zero is never mentioned (API reference: Message Batch). Times are compared
with the API's own clock (``MessageBatch.context``).
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from cancel_message_batch.api.models import MessageBatch

from .facts import (
    amount,
    billed,
    counted,
    counts,
    day_and_time,
    distance,
    duration,
    facts,
    latest_end,
    moment,
    results_url,
    size,
    spaced,
)

CancelResult = Literal["canceling", "already_canceling", "ended", "already_ended", "unconfirmed"]
NOT_IMMEDIATE = (
    "Requests already being processed may still complete and are billed; the others end as canceled, not billed. "
    "A batch has stopped only when its status is ended: check again later. Results are kept, and are at results_url "
    "once it has ended."
)
# A cancellation longer ago than a batch can live means that the clocks disagree.
_LIFETIME = timedelta(hours=25)


def cancel_result(batch: MessageBatch, took: float = 0.0, *, refused: bool = False) -> CancelResult:
    """Derive what a cancel request, which ``took`` so many seconds, did from the batch in its answer.

    The API answers a repeated cancel like the first one, so only its time shows that a cancellation is older. After a
    refusal, the batch was looked up instead.
    """
    age = batch.context.as_of - batch.cancel_initiated_at if batch.cancel_initiated_at else None
    now = age is not None and age <= timedelta(seconds=took) + batch.context.clock_skew
    if batch.ended:
        return "ended" if now else "already_ended"
    if batch.processing_status != "canceling":
        return "unconfirmed"
    told_by_time = age is not None and age <= _LIFETIME
    return "already_canceling" if not now and (told_by_time or refused) else "canceling"


def canceled(batch: MessageBatch, result: CancelResult | None = None) -> str:
    """Say what a cancel request did to a batch."""
    match result or cancel_result(batch):
        case "already_ended":
            start = f"Nothing was canceled now: message batch {facts(batch).id} had already ended{_at_end(batch)}."
            return f"{start} {_final(batch)}"
        case "ended":
            return f"Message batch {facts(batch).id} was canceled and has ended. {_final(batch)}"
        case "unconfirmed":
            return (
                f"The cancellation of message batch {facts(batch).id} is not confirmed: the API answered the request "
                f"without an error, but the batch's status is {facts(batch).status}. Get its status: if it is still "
                "in_progress, cancel again, which is safe to repeat."
            )
        case "already_canceling":
            began = moment(batch.cancel_initiated_at, batch)
            start = f"Message batch {facts(batch).id} was already canceling, since {began}. It has not stopped yet."
        case _:
            start = (
                f"Cancellation of message batch {facts(batch).id} ({size(batch)}) is accepted but not immediate: "
                f"it is now {facts(batch).status}."
            )
    return f"{start}{_so_far(batch)} {NOT_IMMEDIATE}"


def brief(batch: MessageBatch, result: CancelResult) -> str:
    """Say in one line what a cancel request did to one of many batches."""
    return f"{facts(batch).id} {result.replace('_', ' ')}"


def tally(results: Sequence[CancelResult | None]) -> str:
    """Sum up many cancel requests; None stands for one that failed."""
    numbers = Counter(result or "failed" for result in results)
    parts = ", ".join(f"{number:,} {result.replace('_', ' ')}" for result, number in numbers.items())
    running = numbers["canceling"] + numbers["already_canceling"]
    return f"{len(results):,} message batches: {parts}.{' ' + NOT_IMMEDIATE if running else ''}"


def interrupted(answered: int, unanswered: Sequence[str], unsent: Sequence[str], *, limited: Sequence[str] = ()) -> str:
    """Say what an interruption left canceled, perhaps canceled, and untouched; limited ones were answered 429."""
    lines = [f"Interrupted. {answered:,} cancel request{'s were' if answered != 1 else ' was'} answered."]
    for ids, what in (
        (unanswered, "Sent without an answer, so these may be canceling: "),
        (limited, "Answered 429, not canceled: "),
        (unsent, "Not sent, so these are as they were: "),
    ):
        if ids:
            lines.append(what + spaced(ids))
    return "\n".join(lines)


def limited(seconds: float) -> str:
    """Say that cancel requests wait because the API limits them."""
    return f"The API is limiting requests (429): trying again in {duration(max(seconds, 1))}."


def stopped(message_batch_id: str) -> str:
    """Say what a stopped turn of a conversation left; the id is that of a cancel without an answer, or empty."""
    if not message_batch_id:
        return "Stopped. No cancellation was under way."
    return f"Stopped. {message_batch_id} may be canceling: its cancel was sent and not answered. Check its status."


def not_ended(why: str, batch_ids: Sequence[str], *, unknown: Sequence[str] = (), trouble: str = "") -> str:
    """Say that waiting was given up, which changes nothing for the batches."""
    last = f" (last: {trouble})" if trouble else ""
    left = [("not ended yet", batch_ids), (f"status unknown{last}", unknown)]
    told = "; ".join(f"{what}: {spaced(ids)}" for what, ids in left if ids)
    return f"{why}; {told}. This changes nothing for the batches: wait again at any time."


def status(batch: MessageBatch) -> str:
    """Say what state a batch is in."""
    many, created = size(batch), f"Created {moment(batch.created_at, batch)}."
    if batch.ended:
        return (
            f"Message batch {facts(batch).title} ({many}) has ended{_at_end(batch)}. None of its requests is running. "
            f"{created} {_final(batch)}"
        )
    if batch.processing_status == "canceling":
        began = f" since {moment(batch.cancel_initiated_at, batch)}" if batch.cancel_initiated_at else ""
        start = (
            f"Message batch {facts(batch).title} ({many}) is canceling{began}. It has not stopped yet. "
            "Requests already being processed may still complete and are billed."
        )
    elif batch.processing_status == "in_progress":
        start = (
            f"Message batch {facts(batch).title} ({many}) is in_progress: it is running, and nobody has canceled it."
        )
    else:
        start = f"Message batch {facts(batch).title} ({many}) has the status {facts(batch).status}. It has not ended."
    return f"{start} {created}{_so_far(batch)} Its final counts are known once it has ended, {latest_end(batch)}."


class Listed(NamedTuple):
    """A listing in words."""

    headline: str
    text: str


def listed(
    batches: Sequence[MessageBatch],
    wanted: str,
    *,
    more: bool,
    searched: int | None = None,
    after_id: str = "",
    left_out: int = 0,
) -> Listed:
    """Say which batches there are, newest first, a line each."""
    kind = "message batch" if wanted == "any" else f"{wanted} message batch"
    if not batches:
        where = f"older than {after_id}" if after_id else "in this workspace"
        if searched:
            where = f"among the {searched:,} {where}" if after_id else f"among the newest {searched:,}"
        others = "" if wanted == "any" or searched or after_id else " Others may be listed without a status."
        text = f"There is no {kind} {where}.{others}{_left_out_rows(left_out)}"
        return Listed(text, text)
    rows = "\n".join(
        f"{batch.id} {batch.status}, {batch.requests:,} requests, created {batch.created}"
        f"{f', named {batch.name}' if batch.name else ''}"
        for batch in map(facts, batches)
    )
    head = f"{len(batches)} {kind}{'es' if len(batches) != 1 else ''}, newest first"
    after = f"There may be more. To list older ones, pass after_id {facts(batches[-1]).id}." if more else ""
    after += _left_out_rows(left_out)
    return Listed(f"{head}. {after.lstrip()}".rstrip(), f"{head}:\n{rows}\n{after.lstrip()}".rstrip())


def _left_out_rows(number: int) -> str:
    return f" {unreadable(number)}" if number else ""


def question(batch: MessageBatch) -> str:
    """Ask a person whether this batch is to be canceled."""
    return (
        f"Cancel message batch {facts(batch).title}? It is {facts(batch).status}, has "
        f"{facts(batch).requests:,} requests and was created {facts(batch).created}."
    )


def declined(message_batch_id: str, *, asked: bool) -> str:
    """Say that no person agreed to a cancellation; ``asked`` when one said no."""
    if asked:
        return f"Not canceled: the person said no to canceling {message_batch_id}. No cancellation was sent."
    return (
        f"Not canceled: canceling {message_batch_id} needs the person's yes. The client returned no yes; the person "
        "may not have been shown the question. No cancellation was sent. They can run: "
        f"`cancel-message-batch {message_batch_id}`."
    )


def needs_yes(message_batch_id: str) -> str:
    """Tell the person that a batch was not canceled because nobody agreed to it."""
    return (
        f"Not canceled: {message_batch_id} needs your yes. Run `cancel-message-batch {message_batch_id}`, or pass "
        f"`--may-cancel {message_batch_id}`."
    )


def _so_far(batch: MessageBatch) -> str:
    # Before the end the API may count everything as processing, which says nothing.
    return f" Reported so far: {counts(batch)}." if batch.request_counts.finished else ""


def _at_end(batch: MessageBatch) -> str:
    ended = f" at {moment(batch.ended_at, batch)}" if batch.ended_at else ""
    canceled_at = batch.cancel_initiated_at
    return f"{ended} after a cancellation at {moment(canceled_at, batch)}" if canceled_at else ended


def _final_counts(batch: MessageBatch) -> str:
    told = billed(counts(batch) or "no requests")
    if batch.cancel_initiated_at and not batch.request_counts.canceled:
        told += "; no request was canceled"
    return told


def _final(batch: MessageBatch) -> str:
    tally = f"Final counts: {_final_counts(batch)}."
    if batch.archived_at:
        return f"{tally} Its results are gone: results are kept for 29 days after creation."
    if not batch.results_url:
        return f"{tally} It has no results_url. Results are kept for 29 days after creation."
    return f"{tally} Results (needs the API key): {results_url(batch) or 'at a URL that cannot be shown'}"


def details(batch: MessageBatch) -> list[tuple[str, str]]:
    """Say what state a batch is in, for a person: pairs of a label and a value, in the order to show them."""

    def when(time: datetime) -> str:
        return f"{day_and_time(time, batch)} ({distance(time, batch)})"

    not_stopped = ", not stopped yet" if batch.processing_status == "canceling" else ""
    pairs = [("name", facts(batch).name)] if batch.context.name else []
    pairs += [
        ("status", f"{facts(batch).status}{not_stopped}"),
        ("requests", f"{facts(batch).requests:,}"),
        ("created", when(batch.created_at)),
    ]
    if batch.cancel_initiated_at:
        pairs.append(("canceled", f"requested {when(batch.cancel_initiated_at)}"))
    if batch.ended_at:
        pairs.append(("ended", when(batch.ended_at)))
    elif not batch.ended and batch.expires_at > batch.context.as_of:
        pairs.append(("ends by", when(batch.expires_at)))
    if batch.ended:
        pairs += [("counts", _final_counts(batch)), ("results", _results(batch))]
    else:
        known = f"so far {counts(batch)}; final" if batch.request_counts.finished else "known"
        pairs.append(("counts", f"{known} once it has ended"))
    if batch.context.workspace:
        pairs.append(("workspace", batch.context.workspace))
    return pairs


def _results(batch: MessageBatch) -> str:
    if batch.results_url:
        return results_url(batch) or "at a URL that cannot be shown"
    return f"{'gone' if batch.archived_at else 'no address given'}; they are kept for 29 days after creation"


def cancel_these(batches: Sequence[MessageBatch]) -> str:
    """Ask a person whether the batches that they have chosen, and see, are to be canceled."""
    return f"Cancel {'these ' if len(batches) > 1 else ''}{amount(batches)}?"


def dry_run(batches: Sequence[MessageBatch]) -> str:
    """Say how much a cancel of these batches would stop."""
    running = [batch for batch in batches if not batch.ended and batch.processing_status != "canceling"]
    would = amount(running) if running else "nothing"
    return f"Dry run: nothing was canceled. Without --dry-run, this would cancel {would}."


def none_found(statuses: Sequence[str], *, filtered: bool, orphaned: bool) -> str:
    """Say that no batch has one of these statuses; ``filtered`` if other filters narrowed the search."""
    like = " like that" if filtered else ""
    if orphaned:
        return f"This machine knows no unfinished batch{like} whose program is gone."
    if not statuses:
        return f"There is no message batch{like} in this workspace."
    return f"No message batch{like} is {' or '.join(statuses)}."


def unreadable(number: int) -> str:
    """Say that a listing holds batches that this version cannot read."""
    which = counted(number, "message batch")
    return f"{which} in the listing could not be read and {'was' if number == 1 else 'were'} left out."
