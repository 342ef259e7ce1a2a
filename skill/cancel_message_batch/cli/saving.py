"""Saving results at a terminal: shows how it goes, and reports what was saved."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import origin
from cancel_message_batch.api.errors import InvalidInputError, MessageBatchError, clean
from cancel_message_batch.api.models import ascii_json
from cancel_message_batch.record.names import NAME_LIMIT
from cancel_message_batch.results.folder import SaveError
from cancel_message_batch.results.requests_file import RequestsFile
from cancel_message_batch.results.saving import RESUBMIT_FILE, Options, Saved, save
from cancel_message_batch.words import failures, results
from cancel_message_batch.words.facts import counted

from .exit_codes import ExitCode, Interrupted, UsageError, combined, error_code
from .output import Output
from .progress import live_lines


def options_of(
    requests: str | None,
    retry: Sequence[str] | None,
    output: Output,
    *,
    split: bool = False,
    directory: str | None = None,
) -> Options:
    """Return what is to be saved, and say what that prepares. What cannot be used is refused before anything is sent.

    A ``directory`` is checked where nobody wants to learn only hours later that it is a file.
    """
    try:
        options = Options(retry, split, RequestsFile(Path(requests)) if requests is not None else None)
    except InvalidInputError as error:
        raise UsageError(f"{error}. Nothing was sent.") from None
    if directory is not None and (fault := _fault(Path(directory))):
        raise UsageError(f"--results {clean(directory, limit=400)}: {fault}. Nothing was sent.")
    if said := results.retried(retry or (), has_requests=options.requests is not None):
        output.say(said)
    return options


def _fault(directory: Path) -> str:
    """Return why nothing can be saved below a directory, which need not exist yet; empty if it can be tried."""
    there = next(path for path in (directory, *directory.absolute().parents) if os.path.lexists(path))
    shown = clean(str(there), limit=400)
    if not there.is_dir():
        return f"{shown} is not a directory"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{shown} is not writable"


def save_all(
    batches: MessageBatches, ids: Sequence[str], directory: Path, options: Options, output: Output
) -> ExitCode:
    """Save the results of batches, one after the other, and report each."""
    codes = []
    summaries = []
    in_their_words: list[str] = []
    for number, message_batch_id in enumerate(ids):
        try:
            progress: Counter[str] = Counter()
            picture = partial(_how_far, message_batch_id, progress, time.monotonic())
            with live_lines(picture, quiet=output.quiet):
                saved = save(batches, message_batch_id, directory, options, progress=progress)
        except KeyboardInterrupt:
            left = " ".join(ids[number:])
            output.warn(f"\nInterrupted. Not saved: {left}. Run the same command again to save the rest.")
            raise Interrupted from None
        except SaveError as error:
            output.warn(str(error))
            codes.append(ExitCode.FAILED)
        except MessageBatchError as error:
            output.warn(failures.failed(error, "get", message_batch_id))
            codes.append(error_code(error))
        else:
            codes.append(_report(saved, batches, output))
            summaries += [saved.summary] if saved.summary else []
            if not output.json and (codes[-1] != ExitCode.DONE or not output.quiet):
                in_their_words += saved.in_their_words
    if len(ids) > 1:
        lines = sum(summary["results"] for summary in summaries)
        output.say(f"{len(summaries):,} of {len(ids):,} batches are saved, with {counted(lines, 'result')}.")
        if options.requests and _found(summaries) > len(options.requests.custom_ids):
            output.warn(results.in_several(options.requests.shown))
    for line in in_their_words:  # nothing of ours continues behind it
        (output.warn if output.quiet else output.print_prose)(line)
    return combined(codes)


def _found(summaries: Iterable[dict[str, Any]]) -> int:
    """Return how many requests of the file have a result, counted once for each batch."""
    files = [summary["requests_file"] for summary in summaries if summary["requests_file"]]
    return sum(file["requests"] - file["unanswered"] - file["repeated"] for file in files)


def _report(saved: Saved, batches: MessageBatches, output: Output) -> ExitCode:
    if saved.summary is None or saved.path is None:
        output.warn(" ".join(filter(None, [*saved.lines, saved.next_command])))
        return ExitCode.TIME_UP if saved.state == "not_ended" else ExitCode.NOTHING_TO_CANCEL
    code, path = _code(saved.summary), saved.path.absolute()
    if output.json:
        output.print(ascii_json({"directory": str(path), **saved.summary}))
    elif not output.quiet:
        for line in filter(None, [*saved.lines, saved.next_command]):
            output.print_prose(line)
        if saved.summary["to_resubmit"] and RESUBMIT_FILE in saved.summary["files"]:
            output.print_prose("To send them as a new batch, which costs money, paste this at the prompt of `python`:")
            output.print("")
            output.print(results.resubmit_lines(str(path), _name(str(saved.summary["message_batch_id"]), batches)))
            output.print("")
    if code != ExitCode.DONE and (output.json or output.quiet):
        for line in saved.lines[2:]:
            output.warn(line)
    return code


def _name(message_batch_id: str, batches: MessageBatches) -> str:
    """Return the name that the batch has on this machine; empty without one."""
    from cancel_message_batch.record.store import open_record

    known = open_record().known(message_batch_id, origin(batches.connection.base_url))
    return clean(known.name or "", limit=NAME_LIMIT) if known else ""


def _code(summary: dict[str, Any]) -> ExitCode:
    file = summary["requests_file"] or {}
    if file.get("is_of_another_batch"):
        return ExitCode.FAILED
    odd = [summary[name] for name in ("unknown_types", "unreadable_lines", "lines_without_custom_id")]
    odd += [summary["repeated_custom_ids"], file.get("repeated"), file.get("to_resubmit_without_request")]
    return ExitCode.PARTLY if any(odd) else ExitCode.DONE


def _how_far(message_batch_id: str, progress: Counter[str], began: float) -> tuple[Sequence[str], str]:
    megabytes, seconds = progress["bytes"] / 1e6, max(time.monotonic() - began, 0.1)
    name = clean(message_batch_id, limit=60)
    return (), f"{name}: {counted(progress['lines'], 'result')}, {megabytes:,.1f} MB, {megabytes / seconds:,.1f} MB/s"
