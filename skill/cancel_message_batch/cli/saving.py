"""Saving results at a terminal: shows how it goes, and reports what was saved."""

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.errors import InvalidInputError, MessageBatchError, clean
from cancel_message_batch.api.models import ascii_json
from cancel_message_batch.results.folder import SaveError
from cancel_message_batch.results.requests_file import RequestsFile
from cancel_message_batch.results.saving import RESUBMIT_FILE, Options, Saved, save
from cancel_message_batch.words import failures, results
from cancel_message_batch.words.facts import counted

from .exit_codes import ExitCode, Interrupted, UsageError, combined, error_code
from .output import Output
from .progress import live_lines


def options_of(requests: str | None, retry: Sequence[str] | None = None, *, split: bool = False) -> Options:
    """Return what is to be saved; a requests file is read, and refused, before anything is sent."""
    try:
        return Options(retry, split, RequestsFile(Path(requests)) if requests is not None else None)
    except InvalidInputError as error:
        raise UsageError(f"{error}. Nothing was sent.") from None


def save_all(
    batches: MessageBatches, ids: Sequence[str], directory: Path, options: Options, output: Output
) -> ExitCode:
    """Save the results of batches, one after the other, and report each."""
    if warning := results.paid_retried(options.retry or ()):
        output.say(warning)
    codes = []
    summaries = []
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
            codes.append(_report(saved, output))
            summaries += [saved.summary] if saved.summary else []
    if len(ids) > 1:
        lines = sum(summary["results"] for summary in summaries)
        output.say(f"{len(summaries):,} of {len(ids):,} batches are saved, with {counted(lines, 'result')}.")
    return combined(codes)


def _report(saved: Saved, output: Output) -> ExitCode:
    if saved.summary is None or saved.path is None:
        output.warn(saved.lines[0])
        return ExitCode.TIME_UP if saved.state == "not_ended" else ExitCode.NOTHING_TO_CANCEL
    code, path = _code(saved.summary), saved.path.absolute()
    if output.json:
        output.print(ascii_json({"directory": str(path), **saved.summary}))
    elif not output.quiet:
        for line in saved.lines:
            output.print_prose(line)
        if saved.summary["to_resubmit"] and RESUBMIT_FILE in saved.summary["files"]:
            output.print("To send them as a new batch, which costs money:")
            output.print(results.resubmit_lines(str(path / RESUBMIT_FILE)))
    if code != ExitCode.DONE and (output.json or output.quiet):
        for line in saved.lines[2:]:
            output.warn(line)
    return code


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
