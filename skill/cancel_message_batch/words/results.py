"""What is said about saved results: what came, what it cost, and what is left to send."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cancel_message_batch.api.errors import APIStatusError, clean
from cancel_message_batch.api.models import ID_LIMIT, MessageBatch

from .facts import billed, counted, counts, facts, latest_end

# What a number in the summary means.
_ODD_LINES = {
    "unreadable_lines": "lines of the results cannot be read; they are in results.jsonl as they came.",
    "lines_without_custom_id": "results have no custom_id, so it is not known which requests they belong to.",
    "repeated_custom_ids": "results repeat a custom_id; a request that succeeded once is not sent again.",
}
_ODD_REQUESTS = {
    "to_resubmit_without_request": "{} more are to be sent again, but {path} lacks them: their custom_ids are in "
    "resubmit_ids.txt.",
    "unanswered": "{} requests of {path} have no result in this batch: they are in unanswered.jsonl, not in "
    "resubmit.jsonl. Were they sent in another batch?",
    "repeated": "{} requests of {path} repeat a custom_id (for example {ids}): only the first of each was taken.",
}


def not_ended_for_results(batch: MessageBatch) -> str:
    """Say that a batch has no results yet."""
    return (
        f"Message batch {facts(batch).id} is {facts(batch).status} and has no results yet: they exist once it has "
        f"ended, {latest_end(batch)}. To wait and then save them: "
        f"`cancel-message-batch wait {facts(batch).id} && cancel-message-batch results {facts(batch).id}`"
    )


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


def paid_retried(retry: Sequence[str]) -> str:
    """Say, before it is done, that requests which succeeded are prepared to be sent again; else return nothing."""
    if "all" in retry:
        which = "every request is prepared for sending again, including those that succeeded and are paid for"
    elif "succeeded" in retry:
        which = "requests that succeeded and are paid for are also prepared for sending again"
    else:
        return ""
    return f"--retry {','.join(retry)}: {which}. They would be billed again."


def saved(summary: Mapping[str, Any], path: str, *, there: bool = False, edited: bool = False) -> list[str]:
    """Say what was saved of a batch, what it means, and what is left to send."""
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
    lines += [
        f"{number:,} results have the type {clean(kind)}, which this version does not know. They are in "
        "results.jsonl; their requests are not prepared for sending again."
        for kind, number in summary["unknown_types"].items()
    ]
    lines += [f"{summary[field]:,} {what}" for field, what in _ODD_LINES.items() if summary[field]]
    lines += [
        f"  {group['count']:,} x {clean(group['type'])}: {clean(group['message'])}"
        f"{_for_example(group)}{'; would fail again unchanged' if group['fails_again'] else ''}"
        for group in summary["errors"]
    ]
    lines += [
        f"{group['count']:,} succeeded but are not finished: stop_reason {clean(reason)}{_for_example(group)}."
        for reason, group in summary["unfinished"].items()
    ]
    lines += _spent(summary) + _left(summary)
    until = datetime.fromisoformat(summary["results_available_until"]).astimezone()
    lines.append(f"The API keeps the results until {until:%Y-%m-%d %H:%M %Z}.")
    return lines


def _for_example(group: Mapping[str, Any]) -> str:
    return f" (for example {clean(group['example'])})" if group["example"] else ""


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
            f"Estimated cost: {cost} at the batch prices of {estimate['prices']}{but}. This is an "
            "estimate; the Console shows what is billed."
        )
    elif summary["tokens"]:
        lines.append("The cost cannot be estimated: the prices of these models are not known.")
    return lines


def _left(summary: Mapping[str, Any]) -> list[str]:
    file, what = summary["requests_file"], f"{_request_count(summary['to_resubmit'])} to be sent again"
    if file is None:
        lines = [
            f"{what}: the custom_ids are in resubmit_ids.txt. The API does not return requests. With --requests FILE, "
            "the file that the batch was made from, the requests are written to resubmit.jsonl."
        ]
    elif file["is_of_another_batch"]:
        lines = [
            f"{clean(file['path'])} is the wrong requests file: none of its {file['requests']:,} requests has a result "
            "in this batch. No resubmit.jsonl was written; the custom_ids are in resubmit_ids.txt."
        ]
    else:
        ids = ", ".join(f'"{clean(name)}"' for name in file["repeated_custom_ids"])
        known = {"path": clean(file["path"]), "ids": ids}
        odd = [text.format(f"{file[field]:,}", **known) for field, text in _ODD_REQUESTS.items() if file[field]]
        lines = [f"{what}, from resubmit.jsonl.", *odd]
    lines += [
        f"{_request_count(used['requests'])} for {clean(model)}, a deprecated model (end of life: "
        f"{clean(used['end_of_life'])}). From then on they fail: change the model in resubmit.jsonl before you send it."
        for model, used in summary["deprecated_models"].items()
    ]
    if summary["invalid"]:
        number = counted(summary["invalid"], "request")
        lines.append(f"{number} would certainly fail again unchanged: the API's explanations are in invalid.jsonl.")
    return lines


def _request_count(number: int) -> str:
    return f"{counted(number, 'request')} {'is' if number == 1 else 'are'}"


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
