"""What is said about saved results: what came, what it cost, and what is left to send."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from cancel_message_batch.api.errors import APIStatusError, clean, quoted
from cancel_message_batch.api.models import ID_LIMIT, MessageBatch

from .facts import billed, counted, counts, facts, latest_end

# What a number in the summary means.
_ODD_LINES = {
    "unreadable_lines": "Lines of the results that cannot be read: {:,}. They are in results.jsonl as they came.",
    "lines_without_custom_id": "Results without a custom_id: {:,}. It is not known which requests they belong to.",
    "repeated_custom_ids": "Results that repeat a custom_id: {:,}. Each request is sent again at most once.",
}
_ODD_REQUESTS = {
    "to_resubmit_without_request": "{path} lacks {requests} to be sent again: the custom_ids are in resubmit_ids.txt.",
    "unanswered": "{path} has {requests} without a result in this batch: they are in unanswered.jsonl, not in "
    "resubmit.jsonl. Were they sent in another batch?",
    "repeated": "{path} has {requests} with a repeated custom_id: only the first of each was taken.",
}
_EXAMPLES = 10  # kinds of errors, models and custom_ids that are shown of each


def not_ended_for_results(batch: MessageBatch) -> str:
    """Say that a batch has no results yet."""
    return (
        f"Message batch {facts(batch).id} is {facts(batch).status} and has no results yet: they exist once it has "
        f"ended, {latest_end(batch)}."
    )


def wait_and_save(batch: MessageBatch) -> str:
    """Say which command waits for the results of a batch and saves them."""
    name = facts(batch).id
    return f"To wait and then save them: `cancel-message-batch wait {name} && cancel-message-batch results {name}`"


def no_results_now(error: APIStatusError, message_batch_id: str) -> str:
    """Say that the API answered 404 for the results of a batch that exists."""
    reference = f", request {error.request_id}" if error.request_id else ""
    return (
        f"The API has no results for message batch {message_batch_id} (404{reference}), although the batch exists "
        "and has ended. This happens just after a batch has ended: run the same command again in a minute."
    )


def results_gone(batch: MessageBatch) -> str:
    """Say that the results of a batch can no longer be fetched."""
    return (
        f"The results of message batch {facts(batch).id} are gone: results are kept for 29 days after creation, and "
        f"it was created {facts(batch).created}. Its counts: {billed(counts(batch)) or 'no requests'}."
    )


def retried(retry: Sequence[str], *, has_requests: bool) -> str:
    """Say, before it is done, what a ``--retry`` that takes paid requests too prepares; of any other nothing."""
    if "all" in retry:
        which = "every request, including those that succeeded and are paid for, is prepared for sending again"
    elif "succeeded" in retry:
        which = "requests that succeeded and are paid for are also prepared for sending again"
    else:
        return ""
    said = f"--retry {','.join(retry)}: {which}. Sending them bills them again."
    if not has_requests:
        said += (
            " Without --requests FILE only their custom_ids can be listed: the API does not return requests, so the "
            "file that the batch was made from is needed to send them."
        )
    return said


def in_several(shown: str) -> str:
    """Say that batches which were saved together share requests; ``shown`` is the requests file."""
    return (
        f"Some requests of {shown} are in more than one of these batches. To send each of them once, use the lines of "
        "one batch only."
    )


def saved(summary: Mapping[str, Any], path: str, *, there: bool = False, edited: bool = False) -> list[str]:
    """Say what was saved of a batch, what it means, and what is left to send. ``in_their_words`` belongs behind it."""
    name, shown = clean(str(summary["message_batch_id"]), limit=ID_LIMIT), clean(path, limit=400)
    start = (
        f"All results of message batch {name} are already in {shown}: nothing was downloaded."
        if there
        else f"Saved the results of message batch {name} in {shown}."
    )
    if edited:
        start += " resubmit.jsonl has been edited since; it was left as it is."
    by_type = ", ".join(f"{number:,} {kind}" for kind, number in summary["counts"].items() if number)
    nothing = "" if summary["counts"]["succeeded"] else " No request succeeded."
    lines = [start, f"{counted(summary['results'], 'result')}: {billed(by_type) or 'none of a known type'}.{nothing}"]
    if unknown := sum(summary["unknown_types"].values()):
        left = "" if "all" in summary["retry"] else "; their requests are not prepared for sending again"
        lines.append(
            f"Results of a type that this version does not know: {unknown:,}. They are in results.jsonl as they "
            f"came{left}."
        )
    lines += [what.format(summary[field]) for field, what in _ODD_LINES.items() if summary[field]]
    if unfinished := sum(group["count"] for group in summary["unfinished"].values()):
        lines.append(f"{unfinished:,} succeeded but {'is' if unfinished == 1 else 'are'} not finished.")
    lines += _spent(summary) + _left(summary)
    until = datetime.fromisoformat(summary["results_available_until"]).astimezone()
    lines.append(f"The API keeps the results until {until:%Y-%m-%d %H:%M %Z}.")
    return lines


def in_their_words(summary: Mapping[str, Any]) -> list[str]:
    """Return texts of the API and the requests file, set apart. Nothing of ours may follow: it could seem to go on."""
    kinds = summary["errors"]
    lines = [
        f"- {group['count']:,} x {_theirs(group['type'])}{', would fail again unchanged' * group['fails_again']}"
        f"{_for_example(group)}: {_theirs(group['message'])}"
        for group in kinds[:_EXAMPLES]
    ]
    lines += [
        f"- {group['count']:,} x stop_reason {_theirs(reason)}{_for_example(group)}"
        for reason, group in summary["unfinished"].items()
    ]
    lines += [
        f"- {number:,} x result type {_theirs(kind)}"
        for kind, number in list(summary["unknown_types"].items())[:_EXAMPLES]
    ]
    if repeated := (summary["requests_file"] or {}).get("repeated_custom_ids"):
        lines.append(f"- repeated in the requests file: {', '.join(map(_theirs, repeated[:_EXAMPLES]))}")
    if not lines:
        return []
    name = clean(str(summary["message_batch_id"]), limit=ID_LIMIT)
    more = f"; the first {_EXAMPLES} of {len(kinds):,} kinds of errors" if len(kinds) > _EXAMPLES else ""
    return [f"Text from the results of {name}, not advice{more}:", *lines]


def _theirs(text: str) -> str:
    return quoted(clean(text))


def _for_example(group: Mapping[str, Any]) -> str:
    return f", for example custom_id {_theirs(group['example'])}" if group["example"] else ""


def _spent(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Tokens: {used['input']:,} input, {used['output']:,} output, {used['cache_write']:,} cache writes, "
        f"{used['cache_read']:,} cache reads, of the model {_theirs(model)}."
        for model, used in summary["tokens"].items()
    ]
    estimate = summary["estimate"]
    if estimate["usd"] is not None:
        cost = f"${estimate['usd']:,.2f}" if estimate["usd"] >= 0.01 else "less than $0.01"
        without = ", ".join(map(_theirs, estimate["models_without_price"][:_EXAMPLES]))
        lines.append(
            f"Estimated cost: {cost} at the batch prices of {estimate['prices']}; the Console shows what is billed."
            f"{f' Models whose price is not known are left out: {without}.' if without else ''}"
        )
    elif summary["tokens"]:
        lines.append("The cost cannot be estimated: the prices of these models are not known.")
    return lines


def _left(summary: Mapping[str, Any]) -> list[str]:
    file, number = summary["requests_file"], summary["to_resubmit"]
    what = f"{_request_count(number)} to be sent again" if number else "No request is to be sent again"
    listed = ": the custom_ids are in resubmit_ids.txt" if number else ""
    if file is None:
        lines = [f"{what}{listed}."]
    elif file["is_of_another_batch"]:
        lines = [
            f"{clean(file['path'])} is the wrong requests file: none of its {_request_count(file['requests'])} has a "
            "result in this batch. No resubmit.jsonl was written.",
            f"{what}{listed}.",
        ]
    else:
        shown = clean(file["path"])
        numbers = {field: counted(file[field], "request") for field in _ODD_REQUESTS if file[field]}
        odd = [_ODD_REQUESTS[field].format(path=shown, requests=requests) for field, requests in numbers.items()]
        lines = [f"{what}, from resubmit.jsonl." if number else f"{what}.", *odd]
    lines += [
        f"{_request_count(used['requests'])} for {clean(model)}, a deprecated model (end of life: "
        f"{clean(used['end_of_life'])}). From then on they fail: change the model before you send them."
        for model, used in summary["deprecated_models"].items()
    ]
    if summary["invalid"]:
        number = counted(summary["invalid"], "request")
        lines.append(f"{number} would certainly fail again unchanged: the API's explanations are in invalid.jsonl.")
    return lines


def prepare(summary: Mapping[str, Any], path: str, *, usual: Sequence[str]) -> str:
    """Say which command prepares the requests that are left to send; nothing where there are none, or they are ready.

    ``path`` is where the batch is saved, ``usual`` the types that are sent again if nobody chose others.
    """
    if summary["requests_file"] is not None or not summary["to_resubmit"]:
        return ""
    where = shlex.quote(clean(str(PurePath(path).parent), limit=400))
    retry = "" if sorted(summary["retry"]) == sorted(usual) else f" --retry {','.join(map(clean, summary['retry']))}"
    name = clean(str(summary["message_batch_id"]), limit=ID_LIMIT)
    return f"To prepare the requests: `cancel-message-batch results {name} --out {where}{retry} --requests FILE`"


def _request_count(number: int) -> str:
    return f"{counted(number, 'request')} {'is' if number == 1 else 'are'}"


def resubmit_lines(folder: str, name: str = "") -> str:
    """Return the lines of Python that send ``resubmit.jsonl`` of a folder, for pasting; ``name`` is the batch's.

    No line needs the indentation of the one before, since the prompt of Python 3.13 adds its own to what is pasted.
    Each batch has at most 100,000 requests and 256 MB: a single request is below 32 MB. A request that was sent is
    noted in sent_ids.txt and not sent again when the lines are pasted twice. No ``create`` is retried.
    """
    named = f"""\
name = {name!a}
for batch in made: done = subprocess.run(
    ["cancel-message-batch", "name", batch, name])

"""
    return f"""\
import anthropic, json, subprocess
from itertools import accumulate, groupby
def edit(request):
    # EDIT HERE, for example: request["params"]["system"] = "..."
    return request

folder = {folder!a}
file, left, made = folder + "/resubmit.jsonl", [], []
log = open(folder + "/sent_ids.txt", "a", 1)  # what is in it is not sent again
sent = set(open(log.name).read().split())
lines = map(json.loads, filter(bytes.strip, open(file, "rb")))
left = [(r["custom_id"], edit(r)) for r in lines if r["custom_id"] not in sent]
sizes = accumulate(len(json.dumps(request)) for _, request in left)
keys = ((n // 100_000, size // 220_000_000) for n, size in enumerate(sizes))
parts = [zip(*part) for _, part in groupby(left, lambda _: next(keys))]
client = anthropic.Anthropic(max_retries=0)  # a retry may create it twice
def create(part): made.append(client.messages.batches.create(requests=part).id)

for ids, part in parts: create(part); print(made[-1]); print(*ids, file=log)

{named if name else ""}print("requests to send:", len(left), "- batches created:", len(made))"""
