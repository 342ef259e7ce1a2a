"""Every sentence that is said about a batch or an error.

Pure functions of a state. Each sentence must be true with every answer the API may give. Before a batch has ended, all
its counts but one may be zero, so a count of zero is never mentioned (API reference: Message Batch). Times are compared
with the API's own clock (``MessageBatch.as_of``).
"""

import contextlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from .api.credentials import origin
from .api.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ConfigurationError,
    InvalidInputError,
    MessageBatchError,
    clean,
)
from .api.models import EXAMPLE_ID, ID_LIMIT, ID_PREFIX, MessageBatch

CancelResult = Literal["canceling", "already_canceling", "ended", "already_ended", "unconfirmed"]
Action = Literal["cancel", "get", "list", "ask"]

LIST_THEM = "List the message batches to find the right id; a similar one is only a guess."
ID_LOOKS_LIKE = f"A message batch id is one word that starts with {ID_PREFIX}, for example {EXAMPLE_ID}. {LIST_THEM}"
CHECK_BASE_URL = "Check that the base URL (ANTHROPIC_BASE_URL) leads to the Anthropic API."
NOT_IMMEDIATE = (
    "Requests already being processed may still complete and are billed; the others end as canceled, not billed. "
    "A batch has stopped only when its status is ended: check again later. Results are kept, and are at results_url "
    "once it has ended."
)
# A cancellation longer ago than a batch can live means that the clocks disagree.
_LIFETIME = timedelta(hours=25)


class Facts(NamedTuple):
    """What a row, a question or a structured answer shows of a batch, safe to show anywhere."""

    id: str
    name: str  # that a person gave to it, in quotation marks; empty where it has none
    title: str  # id and name
    status: str
    state: str  # id and status
    requests: int
    created: str  # local time and age


def facts(batch: MessageBatch) -> Facts:
    """Return what can be shown of a batch."""
    shown, status = clean(batch.id, limit=ID_LIMIT), clean(batch.processing_status, limit=40)
    name = f'"{batch.name}"' if batch.name else ""
    created, requests = moment(batch.created_at, batch), batch.request_counts.total
    return Facts(shown, name, f"{shown} {name}".rstrip(), status, f"{shown}: {status}", requests, created)


def cancel_result(batch: MessageBatch, took: float = 0.0, *, refused: bool = False) -> CancelResult:
    """Derive what a cancel request, which ``took`` so many seconds, did from the batch in its answer.

    The API answers a repeated cancel like the first one, so only its time shows that a cancellation is older. After a
    refusal, the batch was looked up instead.
    """
    age = batch.as_of - batch.cancel_initiated_at if batch.cancel_initiated_at else None
    now = age is not None and age <= timedelta(seconds=took) + batch.clocks_differ
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
            lines.append(what + _ids(ids))
    return "\n".join(lines)


def limited(seconds: float) -> str:
    """Say that cancel requests wait because the API limits them."""
    return f"The API is limiting requests (429): trying again in {duration(max(seconds, 1))}."


def command_failed(how: str, batch_ids: Sequence[str], *, keep: bool) -> str:
    """Say that a command failed that had created batches, and whether they are canceled now.

    Args:
        how: The command, and how it ended.
        batch_ids: The batches that were not seen to have ended.
        keep: Whether they are left alone, because it was asked for.
    """
    if keep:
        ids = _ids(batch_ids)
        return (
            f"{how}. Not canceled (--keep), and not seen to have ended: {ids}. To cancel: `cancel-message-batch {ids}`"
        )
    return f"{how}. Canceling what it created: {_counted(len(batch_ids), 'message batch')}."


def guard_left(name: str, why: str, canceling: Sequence[str], ended: Sequence[str], failed: Mapping[str, str]) -> str:
    """Say what a guard was left by, and what became of the batches that were created inside it."""
    whose = f' of "{name}"' if name else ""
    told = program_left(canceling, ended, failed)
    return f"The guard{whose} was left{f' by {why}' if why else ''}.\n{told}".rstrip()


def program_left(canceling: Sequence[str], ended: Sequence[str], failed: Mapping[str, str]) -> str:
    """Say what became of the batches that a program created before it failed."""
    lines = []
    if canceling:
        ids = _ids(canceling)
        lines.append(f"Canceling: {ids}. {NOT_IMMEDIATE} To wait until stopped: `cancel-message-batch wait {ids}`")
    if ended:
        lines.append(f"Ended: {_ids(ended)}.")
    lines += [f"{text} To cancel: `cancel-message-batch {_ids([one])}`" for one, text in failed.items()]
    return "\n".join(lines)


def _ids(ids: Sequence[str]) -> str:
    return " ".join(clean(name, limit=ID_LIMIT) for name in ids)


def creation_lost(began: datetime, requests: int) -> str:
    """Say that a batch may have been created whose id nobody knows."""
    many, at = _counted(requests, "request"), f"{began.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    return (
        f"The creation of a message batch of {many} was sent at {at}, and no answer said what came of it. The batch "
        "may exist and be running. To look for one of this time and size: `cancel-message-batch list`. To cancel it: "
        "`cancel-message-batch ID`"
    )


def connections_held(number: int) -> str:
    """Say that something which a command left running lost its connections to the API."""
    what = _counted(number, "connection")
    return (
        f"The command has ended, and something that it started still held {what} to the API. They are closed, because "
        "`cancel-message-batch run` ends with the command."
    )


def stopped(message_batch_id: str) -> str:
    """Say what a stopped turn of a conversation left; the id is that of a cancel without an answer, or empty."""
    if not message_batch_id:
        return "Stopped. No cancellation was under way."
    return f"Stopped. {message_batch_id} may be canceling: its cancel was sent and not answered. Check its status."


def not_ended(why: str, batch_ids: Sequence[str], *, unknown: Sequence[str] = (), trouble: str = "") -> str:
    """Say that waiting was given up, which changes nothing for the batches."""
    last = f" (last: {trouble})" if trouble else ""
    left = [("not ended yet", batch_ids), (f"status unknown{last}", unknown)]
    told = "; ".join(f"{what}: {_ids(ids)}" for what, ids in left if ids)
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
    return f"{start} {created}{_so_far(batch)} Its final counts are known once it has ended, {_latest(batch)}."


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
        text = f"There is no {kind} {where}.{others}{_left_out(left_out)}"
        return Listed(text, text)
    rows = "\n".join(
        f"{batch.id} {batch.status}, {batch.requests:,} requests, created {batch.created}"
        f"{f', named {batch.name}' if batch.name else ''}"
        for batch in map(facts, batches)
    )
    head = f"{len(batches)} {kind}{'es' if len(batches) != 1 else ''}, newest first"
    after = f"There may be more. To list older ones, pass after_id {facts(batches[-1]).id}." if more else ""
    after += _left_out(left_out)
    return Listed(f"{head}. {after.lstrip()}".rstrip(), f"{head}:\n{rows}\n{after.lstrip()}".rstrip())


def _left_out(number: int) -> str:
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


def named(message_batch_id: str, name: str) -> str:
    """Say what a batch is called now, and who knows it."""
    if not name:
        return f"{message_batch_id} has no name now."
    return f'{message_batch_id} is named "{name}". Only this machine knows the name: the API keeps none.'


def orphans(batches: Sequence[MessageBatch]) -> str:
    """Say that batches run on though the programs that created them are gone; nothing when there are none."""
    if not batches:
        return ""
    one = len(batches) == 1
    what = "runs on though the program that created it" if one else "run on though the programs that created them"
    them = "it" if one else "them"
    return _sentence(
        f"{amount(batches)}, {what} on this machine {'is' if one else 'are'} gone. "
        f"`cancel-message-batch list --orphaned` shows {them}, `cancel-message-batch --all --orphaned` stops {them}."
    )


def orphans_unknown(ids: Sequence[str], trouble: MessageBatchError | None) -> str:
    """Say which batches, whose program is gone, could not be looked up."""
    why = _sentence(str(trouble)) if trouble else "There was no answer in time."
    return f"{why} Left out, because they could not be looked up: {_ids(ids)}"


def known_elsewhere(message_batch_id: str, where: str) -> str:
    """Say where this machine knows a batch from that was not found."""
    return f"This machine knows {message_batch_id} from {where}: look for it there."


def failed(error: MessageBatchError, action: Action, message_batch_id: str = "") -> str:
    """Say what went wrong, what state the batch is in now, and what to do next."""
    what = str(error)
    if isinstance(error, InvalidInputError):
        return f"{_sentence(what)} Nothing was sent.{' ' + ID_LOOKS_LIKE if error.about_id else ''}"
    if isinstance(error, ConfigurationError):
        return f"{_sentence(what)} Nothing was sent."
    if isinstance(error, APIStatusError):
        what, advice = _refused(error, action, message_batch_id)
    elif isinstance(error, APIResponseError) and action == "ask":
        advice = "Try again; if it stays so, check that the base URL (ANTHROPIC_BASE_URL) leads to the Anthropic API."
    elif isinstance(error, APIResponseError):
        advice = "" if error.from_api else CHECK_BASE_URL
    elif isinstance(error, APIConnectionError):
        advice = "Check the network and the base URL (ANTHROPIC_BASE_URL), then try again."
    else:
        advice = ""
    return " ".join(part for part in (_sentence(what), _state(error, action, message_batch_id), advice) if part)


def _state(error: MessageBatchError, action: Action, message_batch_id: str) -> str:
    if action != "cancel" or (isinstance(error, APIStatusError) and error.status == 404 and error.type):
        return ""
    if error.may_have_arrived:
        return (
            f"Whether the cancellation of {message_batch_id} was accepted is unknown; it may have been. "
            "Get its status: if it is still in_progress, cancel again, which is safe to repeat."
        )
    return f"{message_batch_id} was not canceled; if it was running, it still is."


def _refused(error: APIStatusError, action: Action, message_batch_id: str) -> tuple[str, str]:
    """Put an error answer in plain words: what happened, and what to do."""
    reference = f", request {error.request_id}" if error.request_id else ""
    wait = f"in {duration(error.retry_after)}" if error.retry_after else "in a minute"
    match error.status:
        case 401:
            return (
                f"The API did not accept the credential (401{reference}): {error.message}",
                "Check the API key (ANTHROPIC_API_KEY).",
            )
        case 402:
            return (
                f"The API reports a billing problem (402{reference}): {error.message}",
                "See the Console's billing page.",
            )
        case 403 if action != "ask":
            return (
                f"The credential may not {action} message batches (403{reference}): {error.message}",
                "Use a key of the workspace the batch belongs to.",
            )
        case 404 if action in {"cancel", "get"} and error.type:
            done = "; nothing was canceled" if action == "cancel" else ""
            where = f"the workspace {error.workspace}" if error.workspace else "this workspace"
            return (
                f"There is no message batch {message_batch_id} in {where} (404{reference}){done}",
                f"The id may be mistyped, or of another workspace: a key sees only its own. {LIST_THEM}",
            )
        case 429:
            return f"The API is limiting requests (429{reference})", f"Try again {wait}."
        case 529:
            return f"The API is overloaded (529{reference})", f"Try again {wait}."
        case status if status >= 500 or status in {408, 409}:
            return f"The API failed ({status}{reference}): {error.message}", ""
        case status if error.type:
            return f"The API refused the request ({status} {error.type}{reference}): {error.message}", ""
        case status:
            return f"The request was refused ({status}{reference}): {error.message}", CHECK_BASE_URL


def moment(time: datetime | None, batch: MessageBatch) -> str:
    """Write a local time, with its distance from the API's answer: ``2026-11-23 14:59 CET (2 h 5 min ago)``."""
    if time is None:
        return "an unknown time"
    return f"{time.astimezone():%Y-%m-%d %H:%M %Z} ({distance(time, batch)})"


def distance(time: datetime, batch: MessageBatch) -> str:
    """Write how far a time is from the API's answer: ``2 h 5 min ago``, ``in 40 s``."""
    seconds = (batch.as_of - time).total_seconds()
    if abs(seconds) < 2:  # the API's clock counts whole seconds
        return "just now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def duration(seconds: float) -> str:
    """Write a duration in its two largest units: ``40 s``, ``5 min``, ``2 h 5 min``, ``29 d 3 h``."""
    left = int(seconds)
    if left < 60:
        return f"{left} s"
    minutes, hours, days = left // 60, left // 3600, left // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min".replace(" 0 min", "")
    return f"{days} d {hours % 24} h".replace(" 0 h", "")


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:] if not text.startswith((ID_PREFIX, "'")) else text
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def counts(batch: MessageBatch) -> str:
    """Write the counts that are not zero."""
    pairs = batch.request_counts.model_dump(include={"succeeded", "errored", "canceled", "expired", "processing"})
    order = ("succeeded", "errored", "canceled", "expired", "processing")
    return ", ".join(f"{pairs[name]:,} {name}" for name in order if pairs[name])


def size(batch: MessageBatch) -> str:
    """Say how many requests a batch has."""
    return _counted(batch.request_counts.total, "request")


def _counted(number: int, what: str) -> str:
    """Write a number of things: ``1 message batch``, ``12,850 requests``."""
    plural = "es" if what.endswith("ch") else "s"
    return f"{number:,} {what}{plural if number != 1 else ''}"


def _so_far(batch: MessageBatch) -> str:
    # Before the end the API may count everything as processing, which says nothing.
    return f" Reported so far: {counts(batch)}." if batch.request_counts.finished else ""


def _at_end(batch: MessageBatch) -> str:
    ended = f" at {moment(batch.ended_at, batch)}" if batch.ended_at else ""
    canceled_at = batch.cancel_initiated_at
    return f"{ended} after a cancellation at {moment(canceled_at, batch)}" if canceled_at else ended


def _latest(batch: MessageBatch) -> str:
    overdue = batch.expires_at < batch.as_of
    return "at the latest 24 h after creation" if overdue else f"at the latest at {moment(batch.expires_at, batch)}"


def _billed(told: str) -> str:
    return told.replace(" succeeded", " succeeded (billed)").replace(" canceled", " canceled (not billed)")


def _final_counts(batch: MessageBatch) -> str:
    told = _billed(counts(batch) or "no requests")
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


def results_url(batch: MessageBatch) -> str:
    """Return the URL of the results, marked when it leads to another server; empty when it is not a plain URL."""
    url = batch.results_url or ""
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~:/?&=%+-]*)?", url) or len(url) > 2000:
        return ""
    with contextlib.suppress(ValueError):
        if batch.origin in {None, origin(url)}:
            return url
    return f"{url} (on another server than the base URL: do not send the key there unless you trust it)"


def day_and_time(time: datetime, batch: MessageBatch) -> str:
    """Write a local time with its zone, and with the year where that is not the current one: ``11-23 14:59 CET``."""
    local = time.astimezone()
    year = "" if local.year == batch.as_of.astimezone().year else "%Y-"
    return local.strftime(f"{year}%m-%d %H:%M %Z")


def details(batch: MessageBatch) -> list[tuple[str, str]]:
    """Say what state a batch is in, for a person: pairs of a label and a value, in the order to show them."""

    def when(time: datetime) -> str:
        return f"{day_and_time(time, batch)} ({distance(time, batch)})"

    not_stopped = ", not stopped yet" if batch.processing_status == "canceling" else ""
    pairs = [("name", facts(batch).name)] if batch.name else []
    pairs += [
        ("status", f"{facts(batch).status}{not_stopped}"),
        ("requests", f"{facts(batch).requests:,}"),
        ("created", when(batch.created_at)),
    ]
    if batch.cancel_initiated_at:
        pairs.append(("canceled", f"requested {when(batch.cancel_initiated_at)}"))
    if batch.ended_at:
        pairs.append(("ended", when(batch.ended_at)))
    elif not batch.ended and batch.expires_at > batch.as_of:
        pairs.append(("ends by", when(batch.expires_at)))
    if batch.ended:
        pairs += [("counts", _final_counts(batch)), ("results", _results(batch))]
    else:
        known = f"so far {counts(batch)}; final" if batch.request_counts.finished else "known"
        pairs.append(("counts", f"{known} once it has ended"))
    if batch.workspace:
        pairs.append(("workspace", batch.workspace))
    return pairs


def amount(batches: Sequence[MessageBatch]) -> str:
    """Sum batches up: ``2 message batches, 12,850 requests``. A single one is told by its id and name."""
    one = len(batches) == 1
    which = f"message batch {facts(batches[0]).title}" if one else _counted(len(batches), "message batch")
    return f"{which}, {_counted(sum(batch.request_counts.total for batch in batches), 'request')}"


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


def unreadable(number: int) -> str:
    """Say that a listing holds batches that this version cannot read."""
    which = _counted(number, "message batch")
    return f"{which} of the listing could not be read and {'is' if number == 1 else 'are'} left out."


def not_ended_for_results(batch: MessageBatch) -> str:
    """Say that a batch has no results yet."""
    return (
        f"Message batch {facts(batch).id} is {facts(batch).status} and has no results yet: they exist once it has "
        f"ended, {_latest(batch)}. To wait and then save them: "
        f"`cancel-message-batch wait {facts(batch).id} && cancel-message-batch results {facts(batch).id}`"
    )


def no_results_now(error: APIStatusError, message_batch_id: str) -> str:
    """Say that the API answered 404 for the results of a batch that exists."""
    reference = f", request {error.request_id}" if error.request_id else ""
    return (
        f"The API has no results for message batch {message_batch_id} now (404{reference}), though the batch exists "
        "and has ended. Just after the end this is known to happen: run the same command again in a minute."
    )


def results_gone(batch: MessageBatch) -> str:
    """Say that the results of a batch can no longer be fetched."""
    return (
        f"The results of message batch {facts(batch).id} are gone: results are kept for 29 days after creation, and "
        f"it was created {facts(batch).created}. Its counts: {_billed(counts(batch)) or 'no requests'}."
    )


def paid_retried(retry: Sequence[str]) -> str:
    """Say, before it is done, that requests which succeeded are prepared to be sent again; else return nothing."""
    if "all" in retry:
        which = "every request is prepared to be sent again, also those that succeeded and are paid for"
    elif "succeeded" in retry:
        which = "requests that succeeded and are paid for are prepared to be sent again too"
    else:
        return ""
    return f"--retry {','.join(retry)}: {which}. They would be billed once more."


def saved(summary: Mapping[str, Any], path: str, *, there: bool = False, edited: bool = False) -> list[str]:
    """Say what was saved of a batch, what it means, and what is left to send."""
    name, shown = clean(str(summary["message_batch_id"]), limit=ID_LIMIT), clean(path, limit=400)
    start = (
        f"All results of message batch {name} are in {shown} already: nothing was downloaded."
        if there
        else f"Saved the results of message batch {name} in {shown}."
    )
    if edited:
        start += " resubmit.jsonl has been edited since; it was left as it is."
    counted = {kind: number for kind, number in summary["counts"].items() if number}
    told = _billed(", ".join(f"{number:,} {kind}" for kind, number in counted.items()))
    lines = [start, f"{summary['results']:,} results: {told or 'none of a known type'}."]
    lines += _oddities(summary)
    lines += [
        f"  {group['count']:,} x {clean(group['type'])}: {clean(group['message'])}"
        f"{_for_example(group)}{'; fails again as it is' if group['fails_again'] else ''}"
        for group in summary["errors"]
    ]
    lines += [
        f"{group['count']:,} succeeded but not finished: stop_reason {clean(reason)}{_for_example(group)}."
        for reason, group in summary["unfinished"].items()
    ]
    lines += _spent(summary) + _left(summary)
    until = datetime.fromisoformat(summary["results_available_until"]).astimezone()
    lines.append(f"The API keeps the results until {until:%Y-%m-%d %H:%M %Z}.")
    return lines


def _for_example(group: Mapping[str, Any]) -> str:
    return f" (for example {clean(group['example'])})" if group["example"] else ""


def _oddities(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{number:,} results have the type {clean(kind)}, which this version does not know. They are in "
        "results.jsonl; their requests are not prepared to be sent again."
        for kind, number in summary["unknown_types"].items()
    ]
    for field, what in (
        ("unreadable_lines", "lines of the results cannot be read; they are in results.jsonl as they came."),
        ("lines_without_custom_id", "results have no custom_id, so it is not known which requests they belong to."),
        ("repeated_custom_ids", "results repeat a custom_id; a request that succeeded once is not sent again."),
    ):
        if summary[field]:
            lines.append(f"{summary[field]:,} {what}")
    return lines


def _spent(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Tokens of {clean(model)}: {used['input']:,} input, {used['output']:,} output, "
        f"{used['cache_write']:,} cache writes, {used['cache_read']:,} cache reads."
        for model, used in summary["tokens"].items()
    ]
    estimate = summary["estimate"]
    if estimate["usd"] is not None:
        without = estimate["models_without_price"]
        but = f" without {clean(', '.join(without))}, whose price is not known" if without else ""
        cost = f"${estimate['usd']:,.2f}" if estimate["usd"] >= 0.01 else "less than $0.01"
        lines.append(
            f"Estimated cost: {cost} at batch prices of {estimate['prices_as_of']}{but}. This is an "
            "estimate; the Console shows what is billed."
        )
    elif summary["tokens"]:
        lines.append("No estimate of the cost: the prices of these models are not known.")
    return lines


def _left(summary: Mapping[str, Any]) -> list[str]:
    number, file = summary["to_resubmit"], summary["requests_file"]
    what = f"{_counted(number, 'request')} {'is' if number == 1 else 'are'} to be sent again"
    if file is None:
        lines = [
            f"{what}: the custom_ids are in resubmit_ids.txt. The API does not return requests. With --requests FILE, "
            "the file the batch was made of, they are written to resubmit.jsonl."
        ]
    elif file["is_of_another_batch"]:
        lines = [
            f"{clean(file['path'])} is the wrong requests file: none of its {file['requests']:,} requests has a result "
            "in this batch. No resubmit.jsonl was written; the custom_ids are in resubmit_ids.txt."
        ]
    else:
        lines = [f"{what}, from resubmit.jsonl."]
        if file["to_resubmit_without_request"]:
            lines.append(
                f"{file['to_resubmit_without_request']:,} more are to be sent again, but {clean(file['path'])} lacks "
                "them: their custom_ids are in resubmit_ids.txt."
            )
        if file["unanswered"]:
            lines.append(
                f"{file['unanswered']:,} requests of {clean(file['path'])} have no result in this batch: they are in "
                "unanswered.jsonl, not in resubmit.jsonl. Were they sent in another batch?"
            )
        if file["repeated"]:
            lines.append(
                f"{file['repeated']:,} requests of {clean(file['path'])} repeat a custom_id: only the first of each "
                "was taken."
            )
    if summary["invalid"]:
        lines.append(
            f"{summary['invalid']:,} would certainly fail again as they are: invalid.jsonl has the API's words."
        )
    return lines


def resubmit_lines(path: str) -> str:
    """Return the lines of Python that send ``resubmit.jsonl``, in parts that the API accepts."""
    return f"""\
  import itertools, json, anthropic
  client, part, size = anthropic.Anthropic(), [], 0
  for line in itertools.chain(open({path!a}, "rb"), [b""]):
      if part and (not line or len(part) == 100_000 or size + len(line) > 250_000_000):
          print(client.messages.batches.create(requests=part).id)
          part, size = [], 0
      if line.strip():
          part.append(json.loads(line))
          size += len(line) + 1"""
