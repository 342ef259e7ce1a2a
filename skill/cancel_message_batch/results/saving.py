"""Saving the results of a batch that has ended, and what is left to send. Nothing that was paid for is lost."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.errors import APIStatusError, clean
from cancel_message_batch.api.models import MessageBatch, ascii_json, checked_id
from cancel_message_batch.words import facts, results
from cancel_message_batch.words.states import KEPT

from .end_of_life import ends_of_life
from .folder import SUMMARY, Folder, SaveError, one_sentence, open_folder
from .requests_file import RequestsFile
from .tally import FOUND, INVALID, RESUBMIT, TYPES, Tally

RETRY = ("canceled", "expired", "errored")

RESULTS_FILE, BATCH_FILE = "results.jsonl", "batch.json"
RESUBMIT_FILE, IDS_FILE = "resubmit.jsonl", "resubmit_ids.txt"
INVALID_FILE, UNANSWERED_FILE = "invalid.jsonl", "unanswered.jsonl"
_SPLIT = {kind: f"{kind}.jsonl" for kind in TYPES}
_OTHER = "other.jsonl"
_GENERATED = (IDS_FILE, INVALID_FILE, UNANSWERED_FILE, _OTHER, *_SPLIT.values())


@dataclass(frozen=True)
class Saved:
    """What became of saving a batch."""

    state: Literal["saved", "all_there", "not_ended", "archived"]  # archived: the results are gone
    batch: MessageBatch | None = None  # if the API was asked
    summary: dict[str, Any] | None = None  # the content of summary.json
    path: Path | None = None  # the directory
    edited: bool = False  # whether resubmit.jsonl is not as it was written

    @property
    def lines(self) -> list[str]:
        """The sentences that report it."""
        if self.batch and self.state == "not_ended":
            return [results.not_ended_for_results(self.batch)]
        if self.batch and self.state == "archived":
            return [results.results_gone(self.batch)]
        there = self.state == "all_there"
        return results.saved(self.summary or {}, str(self.path), there=there, edited=self.edited)

    @property
    def next_command(self) -> str:
        """The command with which a person at a terminal goes on, if there is one, in a sentence."""
        if self.batch and self.state == "not_ended":
            return results.wait_and_save(self.batch)
        return results.prepare(self.summary, str(self.path), usual=RETRY) if self.summary else ""

    @property
    def in_their_words(self) -> list[str]:
        """What the API and the requests file say themselves, which belongs behind all other lines."""
        return results.in_their_words(self.summary) if self.summary else []


@dataclass(frozen=True)
class Options:
    """What is saved."""

    # Types of results whose requests are sent again, or all. None: RETRY, or what a complete earlier run was given.
    retry: Sequence[str] | None = None
    split: bool = False  # whether each type of result gets a file of its own as well
    requests: RequestsFile | None = None  # that the batch was made of


def save(
    batches: MessageBatches,
    message_batch_id: str,
    directory: Path,
    options: Options | None = None,
    progress: Counter[str] | None = None,
) -> Saved:
    """Save the results of a batch below ``directory/message_batch_id``, made where it is missing.

    ``progress`` counts the "bytes" and "lines" that have arrived. A SaveError says that they cannot be written, or are
    not what the batch's counts say.
    """
    options = options or Options()
    message_batch_id = checked_id(message_batch_id)
    if (directory / message_batch_id).is_dir():
        with open_folder(directory, message_batch_id) as folder:
            earlier = folder.summary()
            if earlier and _is_done(folder, earlier, options):
                edited = folder.checksum(RESUBMIT_FILE) not in (None, earlier.get("resubmit_file"))
                return Saved("all_there", summary=earlier, path=folder.path, edited=edited)
    batch = batches.retrieve(message_batch_id)
    if not batch.ended:
        return Saved("not_ended", batch)
    if batch.archived_at or batch.context.as_of > batch.created_at + KEPT:
        return Saved("archived", batch)
    with open_folder(directory, message_batch_id) as folder:
        summary = _Saving(batch, folder, options).run(batches, Counter() if progress is None else progress)
        return Saved("saved", batch, summary, folder.path)


class _Saving:
    """One run that writes the files of one batch."""

    def __init__(self, batch: MessageBatch, folder: Folder, options: Options) -> None:
        self._batch = batch
        self._folder = folder
        self._options = options
        self._tally = Tally(options.retry or RETRY)
        self._earlier = folder.summary()
        files = self._earlier["files"] if self._earlier else {}
        self._kept = {name: files[name] for name in (RESULTS_FILE,) if folder.size(name) == files.get(name, -1)}

    def run(self, batches: MessageBatches, progress: Counter[str]) -> dict[str, Any]:
        """Write the files; return the summary."""
        resubmit_file = self._earlier.get("resubmit_file") if self._earlier else None
        if self._earlier and self._options.requests:
            self._refuse_edited(resubmit_file)
        with one_sentence(f"The results of {self._batch.id} could not be saved to {self._folder.shown}"):
            if not self._kept:
                self._download(batches, progress)
            self._read()
            self._check()
            if self._options.requests:
                found = self._match(self._options.requests)
            else:
                found = {"requests_file": None, "to_resubmit": self._list_ids(), "deprecated_models": {}}
            outdated = set(_GENERATED)
            if RESUBMIT_FILE in self._folder.sizes():
                written = self._folder.checksum(RESUBMIT_FILE, part=True)
                # Without an earlier summary, what is there is an interrupted run's, hence the same, or a person's.
                self._refuse_edited(resubmit_file, written)
                resubmit_file = written
                outdated.add(RESUBMIT_FILE)
            summary = self._write_summary({**found, "resubmit_file": resubmit_file})
            self._folder.commit(outdated=outdated)
        return summary

    def _refuse_edited(self, *known: dict[str, int] | None) -> None:
        if self._folder.checksum(RESUBMIT_FILE) not in (None, *known):
            raise SaveError(
                f"{RESUBMIT_FILE} in {self._folder.shown} was edited, and is not overwritten: move it away, or choose "
                "another directory. Nothing was changed."
            )

    def _download(self, batches: MessageBatches, progress: Counter[str]) -> None:
        self._folder.part(RESULTS_FILE)
        try:
            for piece in batches.download_results(self._batch):
                if piece is None:  # from the start again
                    self._folder.drop(RESULTS_FILE)
                    progress.clear()
                    continue
                self._folder.part(RESULTS_FILE).write(piece)
                progress["bytes"] += len(piece)
                progress["lines"] += piece.count(b"\n")
        except APIStatusError as error:
            if error.status_code != 404:
                raise
            raise SaveError(results.no_results_now(error, self._batch.id)) from error

    def _read(self) -> None:
        """Go through the results: those that were downloaded, else those of an earlier run."""
        with self._folder.reading(RESULTS_FILE, part=not self._kept) as file:
            for name in _SPLIT.values() if self._options.split else ():
                self._folder.part(name)
            for line in file:
                if line.isspace():
                    continue
                kind, decision = self._tally.add(line)
                if decision == INVALID:
                    self._folder.part(INVALID_FILE).write(line)
                if self._options.split:
                    self._folder.part(_SPLIT.get(kind, _OTHER)).write(line)

    def _check(self) -> None:
        """Refuse results that differ from the batch's own counts."""
        expected = {kind: getattr(self._batch.request_counts, kind) for kind in TYPES}
        counted, lines = self._tally.counts, self._tally.lines
        if all(counted[kind] <= expected[kind] for kind in TYPES) and lines == sum(expected.values()):
            return
        others = lines - sum(counted.values())
        due, came = (", ".join(f"{numbers[kind]:,} {kind}" for kind in TYPES) for numbers in (expected, counted))
        if not self._kept:
            self._folder.kept = RESULTS_FILE
            left = f"What was received is in {self._folder.shown}/{RESULTS_FILE}.part; run the command again."
        else:
            left = f"The files in {self._folder.shown} were left as they are; remove them and run the command again."
        more = f", {facts.counted(others, 'other')}" if others else ""
        raise SaveError(
            f"The results of {self._batch.id} do not match its counts: the batch has {due}; "
            f"{facts.counted(lines, 'line')} came, {came}{more}. {left}"
        )

    def _match(self, requests: RequestsFile) -> dict[str, Any]:
        """Write the requests that are to be sent again; return what the summary says about the file and them."""
        decisions = self._tally.decisions
        repeated: Counter[str] = Counter()
        models: Counter[str] = Counter()
        unanswered = 0
        out = self._folder.part(RESUBMIT_FILE)
        for custom_id, model, line in zip(requests.custom_ids, requests.models, requests, strict=True):
            decision = decisions.get(custom_id)
            if decision is None:
                unanswered += 1
                self._folder.part(UNANSWERED_FILE).write(line)
            elif decision == FOUND:
                repeated[custom_id] += 1
            else:
                decisions[custom_id] = FOUND
                if decision == RESUBMIT:
                    models[model] += 1
                    out.write(line)
        not_found = sum(decision != FOUND for decision in decisions.values())
        wrong = bool(self._tally.lines) and not_found == len(decisions)
        if wrong:  # nothing of the file belongs to this batch: as without one
            self._folder.drop(RESUBMIT_FILE, UNANSWERED_FILE)
        ends = ends_of_life()
        described = {
            "path": requests.shown,
            **requests.checksum,
            "requests": len(requests.custom_ids),
            "unanswered": unanswered,
            "repeated": repeated.total(),
            "repeated_custom_ids": [clean(name, limit=64) for name in list(repeated)[:20]],
            "results_without_request": not_found,
            "to_resubmit_without_request": self._list_ids(),
            "is_of_another_batch": wrong,
        }
        deprecated = {
            model: {"requests": models[model], "end_of_life": ends[model]} for model in sorted(models.keys() & ends)
        }
        return {"requests_file": described, "to_resubmit": models.total(), "deprecated_models": deprecated}

    def _list_ids(self) -> int:
        """Write the custom_ids to send again whose requests were not found; return their number."""
        left = [name for name, decision in self._tally.decisions.items() if decision == RESUBMIT]
        if left:
            self._folder.part(IDS_FILE).writelines(map(_id_line, left))
        return len(left)

    def _write_summary(self, found: dict[str, Any]) -> dict[str, Any]:
        batch = self._batch
        self._folder.part(BATCH_FILE).write(batch.to_json().encode() + b"\n")
        summary = {
            "message_batch_id": batch.id,
            "created_at": batch.created_at.isoformat(),
            "ended_at": batch.ended_at.isoformat() if batch.ended_at else None,
            "results_available_until": (batch.created_at + KEPT).isoformat(),
            "request_counts": batch.request_counts.model_dump(include={*TYPES, "processing"}),
            **self._tally.described(batch.ended_at or batch.created_at),
            "retry": list(self._options.retry or RETRY),
            "split": self._options.split,
            **found,
            "files": {**self._kept, **self._folder.sizes()},
        }
        self._folder.part(SUMMARY).write(ascii_json(summary).encode() + b"\n")
        return summary


def _is_done(folder: Folder, earlier: dict[str, Any], options: Options) -> bool:
    """Return whether an earlier run has done what is asked for now, and its files are as long as they were written."""
    if options.requests and not options.requests.checksum.items() <= (earlier.get("requests_file") or {}).items():
        return False
    if options.retry and sorted(options.retry) != sorted(earlier.get("retry", ())):
        return False
    there = {name: folder.size(name) for name in earlier["files"]}
    same_length = {**there, RESUBMIT_FILE: 0} == {**earlier["files"], RESUBMIT_FILE: 0}  # a person may edit that one
    return same_length and None not in there.values() and (earlier.get("split") or not options.split)


def _id_line(custom_id: str) -> bytes:
    """Return a custom_id as a line: as it is, or as JSON where it would not stay one line of text."""
    plain = custom_id.isascii() and custom_id.isprintable()
    return (custom_id if plain else json.dumps(custom_id)).encode() + b"\n"
