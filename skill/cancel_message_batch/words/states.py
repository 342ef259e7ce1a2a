"""What is said about the state of a batch: accepted, already ended, still canceling.

Pure functions of a state. Each sentence must be true with every answer the API may give. Before a batch has ended, all
its counts but one may be zero, so a count of zero is never mentioned (API reference: Message Batch). Times are compared
with the API's own clock (``MessageBatch.context``).
"""

from collections import Counter
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from typing import Literal

from cancel_message_batch.api.errors import plain_url
from cancel_message_batch.api.models import MessageBatch

from .facts import amount, billed, counted, counts, day_and_time, distance, duration, facts, latest_end, moment, spaced

CancelResult = Literal["canceling", "already_canceling", "ended", "already_ended", "unconfirmed"]
NOT_IMMEDIATE = (
    "What has completed, or still completes, is billed, and its results are kept until 29 days after the batch's "
    "creation. What had not started ends as canceled and is not billed. It has stopped only when its status is ended: "
    "check again later."
)
IN_SHORT = "What has completed or still completes is billed; the rest is not."  # the same for a line of a terminal
IN_A_ROW: dict[CancelResult | None, str] = {  # what a cancel did, in a column; None is one that failed
    "canceling": "cancel requested",
    "already_canceling": "already canceling",
    "ended": "canceled, ended",
    "already_ended": "already ended",
    "unconfirmed": "not confirmed",
    None: "failed",
}
# A cancellation longer ago than a batch can live means that the clocks disagree.
_LIFETIME = timedelta(hours=25)
KEPT = timedelta(days=29)  # how long results are kept, after the batch's creation (batch processing guide)


def cancel_result(batch: MessageBatch, took: float = 0.0, *, refused: bool = False) -> CancelResult:
    """Derive what a cancel request, which ``took`` this many seconds, did from the batch in the response.

    The API answers a repeated cancel like the first one, so only its time shows that a cancellation is older. After a
    request that was ``refused``, the batch was looked up.
    """
    age = batch.context.as_of - batch.cancel_initiated_at if batch.cancel_initiated_at else None
    now = age is not None and age <= timedelta(seconds=took) + batch.context.clock_skew
    if batch.ended:
        return "ended" if now else "already_ended"
    if batch.processing_status != "canceling":
        return "unconfirmed"
    is_older = refused or (age is not None and age <= _LIFETIME)
    return "already_canceling" if is_older and not now else "canceling"


def canceled(batch: MessageBatch, result: CancelResult | None = None) -> str:
    """Say what a cancel request did to a batch."""
    known = facts(batch)
    match result or cancel_result(batch):
        case "already_ended":
            start = f"Nothing was canceled now: message batch {known.id} had already ended{_at_end(batch)}."
            return f"{start} {_final(batch)}"
        case "ended":
            return f"Message batch {known.id} was canceled and has ended. {_final(batch)}"
        case "unconfirmed":
            return (
                f"The cancellation of message batch {known.id} is not confirmed: the API answered the request without "
                f"an error, but the batch's status is {known.status}. Get its status: if it is still in_progress, "
                "cancel again, which is safe to repeat."
            )
        case "already_canceling":
            began = moment(batch.cancel_initiated_at, batch)
            start = f"Message batch {known.id} was already canceling, since {began}. It has not stopped yet."
        case _:
            what = f"Cancellation of message batch {known.id} ({known.size})"
            start = f"{what} is accepted but not immediate: it is now {known.status}."
    return f"{start}{_so_far(batch)} {NOT_IMMEDIATE}"


def tally(results: Sequence[CancelResult | None]) -> str:
    """Sum up many cancel requests; None is one that failed."""
    numbers = Counter(result or "failed" for result in results)
    parts = ", ".join(f"{number:,} {result.replace('_', ' ')}" for result, number in numbers.items())
    running = numbers["canceling"] + numbers["already_canceling"]
    return f"{counted(len(results), 'message batch')}: {parts}.{' ' + NOT_IMMEDIATE if running else ''}"


def tally_in_short(results: Sequence[CancelResult | None]) -> str:
    """Sum up many cancel requests in the words of their rows."""
    parts = ", ".join(f"{number:,} {IN_A_ROW[result]}" for result, number in Counter(results).items())
    return f"{counted(len(results), 'message batch')}: {parts}."


def interrupted(answered: int, unanswered: Sequence[str], unsent: Sequence[str], *, limited: Sequence[str] = ()) -> str:
    """Say which cancel requests an interruption left answered, unanswered, refused with 429 (limited), and unsent."""
    lines = [f"Interrupted. {counted(answered, 'cancel request')} {'was' if answered == 1 else 'were'} answered."]
    for ids, what in (
        (unanswered, "Sent but not answered, so these may be canceling: "),
        (limited, "Refused by the rate limit (429), not canceled: "),
        (unsent, "Not sent, so these are unchanged: "),
    ):
        if ids:
            lines.append(what + spaced(ids))
    return "\n".join(lines)


def limited(seconds: float) -> str:
    """Say that cancel requests wait because the API limits them."""
    return f"The API is limiting requests (429): trying again in {duration(max(seconds, 1))}."


def stopped(message_batch_id: str) -> str:
    """Say what a stopped turn of a conversation left; the id is that of a cancel without a response, or empty."""
    if not message_batch_id:
        return "Stopped. No cancellation was under way."
    return f"Stopped. {message_batch_id} may be canceling: its cancel was sent but not answered. Check its status."


def not_ended(
    why: str, batch_ids: Sequence[str], *, seen: Container[str], trouble: str, at_most: int | None = None
) -> str:
    """Say that waiting was given up, and which batches had not ended, or were not even ``seen``.

    More than ``at_most`` are counted, not named.
    """
    unknown = f"status unknown (last: {trouble})" if trouble else "status unknown"
    known = [name for name in batch_ids if name in seen]
    parts = [("not ended yet", known), (unknown, [name for name in batch_ids if name not in seen])]
    many = at_most is not None and len(batch_ids) > at_most
    which = [(what, counted(len(ids), "message batch") if many else spaced(ids)) for what, ids in parts if ids]
    left = "; ".join(f"{what}: {ids}" for what, ids in which)
    return f"{why}; {left}. The batches keep running; run `wait` again any time."


def status(batch: MessageBatch) -> str:
    """Say what state a batch is in."""
    known, created = facts(batch), f"Created {moment(batch.created_at, batch)}.{_creator(batch)}"
    start = f"Message batch {known.title} ({known.size})"
    if batch.ended:
        return f"{start} has ended{_at_end(batch)}. None of its requests is running. {created} {_final(batch)}"
    if batch.processing_status == "canceling":
        since = f" since {moment(batch.cancel_initiated_at, batch)}" if batch.cancel_initiated_at else ""
        now = f"is canceling{since}. It has not stopped yet. What has completed, or still completes, is billed."
    elif batch.processing_status == "in_progress":
        now = "is in_progress: it is running, and nobody has canceled it."
    else:
        now = f"has the status {known.status}. It has not ended."
    return f"{start} {now} {created}{_so_far(batch)} Its final counts are known once it has ended, {latest_end(batch)}."


def listed(
    batches: Sequence[MessageBatch],
    wanted: str,
    *,
    more: bool,
    searched: int | None = None,
    after_id: str = "",
    left_out: int = 0,
) -> tuple[str, str]:
    """Say which batches have the ``wanted`` status, newest first: in a line, and in a line each.

    If none was found before the search ended early, ``searched`` is how many were searched; ``left_out`` could not be
    read.
    """
    kind = "message batch" if wanted == "any" else f"{wanted} message batch"
    unread = [unreadable(left_out)] if left_out else []
    if not batches:
        where = f"older than {after_id}" if after_id else "in this workspace"
        if searched:
            where = f"among the {searched:,} {where}" if after_id else f"among the newest {searched:,}"
        readable = " that can be read" if left_out else ""
        others = ["Others may be listed without a status."] if not (wanted == "any" or searched or after_id) else []
        text = " ".join([f"There is no {kind} {where}{readable}.", *others, *unread])
        return text, text
    rows = "\n".join(
        f"{batch.id} {batch.status}, {batch.size}, created {batch.created}{f', {batch.creator}' * bool(batch.creator)}"
        f"{f', named {batch.name}' * bool(batch.name)}"
        for batch in map(facts, batches)
    )
    older = [f"There may be more. To list older ones, pass after_id {facts(batches[-1]).id}."] if more else []
    head, after = f"{counted(len(batches), kind)}, newest first", " ".join([*older, *unread])
    return f"{head}. {after}".rstrip(), f"{head}:\n{rows}\n{after}".rstrip()


def question(batch: MessageBatch) -> str:
    """Ask a person whether this batch is to be canceled."""
    known = facts(batch)
    what = f"It is {known.status}, has {known.size} and was created {known.created}."
    return f"Cancel message batch {known.title}? {what}{_creator(batch)}"


def declined(message_batch_id: str, *, asked: bool) -> str:
    """Say that no person agreed to a cancellation; ``asked`` when one said no."""
    if asked:
        return f"Not canceled: the person said no to canceling {message_batch_id}. No cancellation was sent."
    return (
        f"Not canceled: canceling {message_batch_id} needs the person's yes. The client did not return a yes; the "
        "person may not have been shown the question. No cancellation was sent. They can run: "
        f"`cancel-message-batch {message_batch_id}`."
    )


def needs_yes(message_batch_id: str) -> str:
    """Say to the person that a batch was not canceled because nobody agreed to it."""
    return (
        f"Not canceled: {message_batch_id} needs your yes. Run `cancel-message-batch {message_batch_id}`, or pass "
        f"`--may-cancel {message_batch_id}`."
    )


def may_repeat(batches: Sequence[MessageBatch], *, in_short: bool = False) -> str:
    """Say which programs, whose batches were canceled, may send the requests again; nothing if none is running."""
    running = {
        batch.context.created_by for batch in batches if batch.context.created_by and batch.context.created_by.alive
    }
    if not running:
        return ""
    which = ", ".join(sorted(f'"{by.program}" (pid {by.pid})' for by in running))
    if in_short:
        return f"Still running here, and may send them again: {which}."
    if len(batches) == 1:
        return f"Its program is still running on this machine, and may send the canceled requests again: {which}."
    return f"Programs still running on this machine, which may send canceled requests again: {which}."


def _creator(batch: MessageBatch) -> str:
    known = facts(batch).creator
    return f" It was {known}." if known else ""


_MOST_CREATORS = 5  # in a question


def _creators(batches: Sequence[MessageBatch]) -> str:
    """Say who created these batches: one by one where that differs."""
    if len(batches) == 1:
        return _creator(batches[0])
    known = Counter(filter(None, (facts(batch).creator for batch in batches)))
    parts = [
        f"{number:,} {'was' if number == 1 else 'were'} {who}" for who, number in known.most_common(_MOST_CREATORS)
    ]
    others = sum(known.values()) - sum(number for _, number in known.most_common(_MOST_CREATORS))
    parts += [f"{others:,} by other programs"] if others else []
    return f" Of these, {'; '.join(parts)}." if parts else ""


def _so_far(batch: MessageBatch) -> str:
    # Before the end the API may count everything as processing, which says nothing.
    return f" Reported so far: {counts(batch)}." if batch.request_counts.finished else ""


def _at_end(batch: MessageBatch) -> str:
    ended = f" at {moment(batch.ended_at, batch)}" if batch.ended_at else ""
    canceled_at = batch.cancel_initiated_at
    return f"{ended} after a cancellation at {moment(canceled_at, batch)}" if canceled_at else ended


def final_counts(batch: MessageBatch) -> str:
    """Say how many requests of a batch that has ended came to which end, and which are billed."""
    nothing = "; no request was canceled" if batch.cancel_initiated_at and not batch.request_counts.canceled else ""
    return f"{billed(counts(batch) or 'no requests')}{nothing}"


def _final(batch: MessageBatch) -> str:
    final = f"Final counts: {final_counts(batch)}."
    if batch.archived_at:
        return f"{final} Its results are gone: results are kept for 29 days after creation."
    if not batch.results_url:
        return f"{final} It has no results_url. Results are kept for 29 days after creation."
    return f"{final} Results (needs the API key): {_results_url(batch)}"


def _results_url(batch: MessageBatch) -> str:
    """Return the URL of the results, absolute or not, if it is a plain one."""
    return plain_url(batch.results_url) or "at a URL that cannot be shown"


def details(batch: MessageBatch) -> list[tuple[str, str]]:
    """Say what state a batch is in, for a person: pairs of a label and a value, in the order to show them."""

    def when(time: datetime | None) -> str:
        return f"{day_and_time(time, batch)} ({distance(time, batch)})" if time else ""

    known, canceled = facts(batch), when(batch.cancel_initiated_at)
    if batch.ended:
        final = final_counts(batch)
        gone = f"{'gone' if batch.archived_at else 'no address given'}; they are kept for 29 days after creation"
    else:
        final = f"{f'so far {counts(batch)}; final' if batch.request_counts.finished else 'known'} once it has ended"
        gone = ""
    pairs = [
        ("name", known.name),
        ("creator", known.creator.removeprefix("created by ")),
        ("status", f"{known.status}{', not stopped yet' if batch.processing_status == 'canceling' else ''}"),
        ("created", when(batch.created_at)),
        ("next", _next(batch, when(batch.expires_at))),
        ("requests", f"{known.requests:,}"),
        ("canceled", f"requested {canceled}" if canceled else ""),
        ("ended", when(batch.ended_at)),
        ("counts", final),
        ("results", _results_url(batch) if batch.ended and batch.results_url else gone),
        ("workspace", batch.context.workspace or ""),
    ]
    return [(label, value) for label, value in pairs if value]


def _next(batch: MessageBatch, latest: str) -> str:
    """Say what happens next to a batch, and by when; nothing where no more happens, or where that is not known."""
    if batch.ended:
        until = batch.created_at + KEPT
        kept = batch.results_url and not batch.archived_at and until > batch.context.as_of
        return f"its results can be saved until {day_and_time(until, batch)}" if kept else ""
    if batch.ended_at or batch.expires_at <= batch.context.as_of:
        return ""
    if batch.processing_status == "canceling":
        return f"ends once what is being processed has completed, by {latest}"
    return f"ends by {latest}"


def cancel_these(batches: Sequence[MessageBatch]) -> str:
    """Ask a person whether to cancel the batches that they have chosen and see."""
    return f"Cancel {'these ' if len(batches) > 1 else ''}{amount(batches)}?{_creators(batches)}"


def still_running(batches: Sequence[MessageBatch]) -> list[MessageBatch]:
    """Return the batches that a cancel would stop."""
    return [batch for batch in batches if not batch.ended and batch.processing_status != "canceling"]


def dry_run(batches: Sequence[MessageBatch]) -> str:
    """Say how much a cancel of these batches would stop."""
    running = still_running(batches)
    would = amount(running) if running else "nothing"
    return f"Dry run: nothing was canceled. Without --dry-run, this would cancel {would}."


def none_found(statuses: Sequence[str], *, filtered: bool, orphaned: bool) -> str:
    """Say that no batch has one of these statuses; ``filtered`` if other filters narrowed the search."""
    like = " like that" if filtered else ""
    if orphaned:
        return f"This machine knows no left-behind batch{like} at this base URL."
    if not statuses:
        return f"There is no message batch{like} in this workspace."
    return f"No message batch{like} is {' or '.join(statuses)}."


NONE_MINE = (
    "This machine knows of no batch that is yours. A batch is if it was created under `run` or `guard` here, or if it "
    "got a name here."
)
_NAMES = 10  # that are said


def names_there_are(names: Sequence[str], statuses: Sequence[str]) -> str:
    """Say which names the batches with one of these statuses have, after a pattern that none of them matches."""
    if not names:
        which = f"message batch that is {' or '.join(statuses)}" if statuses else "message batch in this workspace"
        return f"No {which} has a name on this machine."
    more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    shown = ", ".join(f'"{name}"' for name in names[:_NAMES])
    return f"The names there are: {shown}{more}."


def unreadable(number: int) -> str:
    """Say that a listing holds batches that this version cannot read."""
    which = counted(number, "message batch")
    return f"{which} in the listing could not be read and {'was' if number == 1 else 'were'} left out."
