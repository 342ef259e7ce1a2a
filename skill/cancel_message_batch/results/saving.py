"""Saving the results of a batch that has ended, and what is left to send. Nothing that was paid for is lost."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.errors import APIStatusError
from cancel_message_batch.api.models import MessageBatch, ascii_json, checked_id
from cancel_message_batch.words import no_results_now

from .folder import SUMMARY, Folder, SaveError, told
from .lines import Lines, identity, pieces
from .requests_file import RequestsFile
from .tally import INVALID, RESUBMIT, TYPES, Tally

DIRECTORY = "message-batches"
RETRY = ("canceled", "expired", "errored")
KEPT = timedelta(days=29)  # after creation (batch processing guide)

RESULTS_FILE, BATCH_FILE = "results.jsonl", "batch.json"
RESUBMIT_FILE, IDS_FILE = "resubmit.jsonl", "resubmit_ids.txt"
INVALID_FILE, UNANSWERED_FILE = "invalid.jsonl", "unanswered.jsonl"
_SPLIT = {kind: f"{kind}.jsonl" for kind in TYPES}
_OTHER = "other.jsonl"
_GENERATED = (IDS_FILE, INVALID_FILE, UNANSWERED_FILE, _OTHER, *_SPLIT.values())

State = Literal["saved", "all_there", "not_ended", "archived"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Saved:
    """What saving came to.

    Args:
        state: Whether the results are saved now, were there already, do not exist yet, or exist no more.
        message_batch_id: The batch's id.
        batch: The batch, where the API was asked.
        summary: What ``summary.json`` says.
        path: The directory.
        edited: Whether ``resubmit.jsonl`` is not as it was written.
    """

    state: State
    message_batch_id: str
    batch: MessageBatch | None = None
    summary: dict[str, Any] | None = None
    path: Path | None = None
    edited: bool = False


@dataclass(frozen=True)
class Options:
    """What is saved.

    Args:
        retry: The types of results whose requests are sent again: succeeded, errored, canceled, expired, or all. None
            for ``RETRY``, or whatever an earlier run was told, as long as its files are whole.
        split: Whether there is to be a file for each type as well.
        requests: The requests that the batch was made of.
    """

    retry: Sequence[str] | None = None
    split: bool = False
    requests: RequestsFile | None = None

    def met_by(self, summary: dict[str, Any]) -> bool:
        """Return whether an earlier run has done what is asked for now."""
        known = summary.get("requests_file")
        same_file = self.requests is None or (
            isinstance(known, dict)
            and (known.get("bytes"), known.get("crc32")) == (self.requests.length, self.requests.crc)
        )
        same_retry = self.retry is None or sorted(self.retry) == sorted(summary.get("retry", ()))
        return bool(same_file and same_retry and (summary.get("split") or not self.split))


def save(
    batches: MessageBatches,
    message_batch_id: str,
    directory: Path,
    options: Options | None = None,
    *,
    progress: Progress = lambda _bytes, _lines: None,
) -> Saved:
    """Save the results of a batch below ``directory/message_batch_id``.

    Args:
        batches: The client.
        message_batch_id: The batch.
        directory: The directory; made where it is missing.
        options: What is saved.
        progress: Called with the number of bytes and lines so far.

    Raises:
        SaveError: The results cannot be written, or are not what the batch's counts say.
        MessageBatchError: The API failed.
    """
    options = options or Options()
    message_batch_id = checked_id(message_batch_id)
    if (directory / message_batch_id).is_dir():
        with Folder(directory, message_batch_id) as folder:
            there = folder.summary()
            if there and not folder.damaged(there, but=RESUBMIT_FILE) and options.met_by(there):
                edited = folder.edited(RESUBMIT_FILE)
                return Saved("all_there", message_batch_id, summary=there, path=folder.path, edited=edited)
    batch = batches.retrieve(message_batch_id)
    if not batch.ended:
        return Saved("not_ended", message_batch_id, batch)
    if batch.archived_at or batch.context.as_of > batch.created_at + KEPT:
        return Saved("archived", message_batch_id, batch)
    with Folder(directory, message_batch_id) as folder:
        return _Saving(batch, folder, options, progress).run(batches)


class _Saving:
    """One run that writes the files of one batch."""

    def __init__(self, batch: MessageBatch, folder: Folder, options: Options, progress: Progress) -> None:
        self._batch = batch
        self._folder = folder
        self._options = options
        self._retry = options.retry or RETRY
        self._progress = progress
        there = folder.summary()
        self._downloads = there is None or RESULTS_FILE in folder.damaged(there)

    def run(self, batches: MessageBatches) -> Saved:
        if self._options.requests and self._folder.edited(RESUBMIT_FILE):
            raise SaveError(
                f"{RESUBMIT_FILE} in {self._folder.shown} was edited, and is not overwritten: move it away, or choose "
                "another directory. Nothing was changed."
            )
        with told(f"The results of {self._batch.id} could not be saved to {self._folder.shown}"):
            self._read(batches)
            self._check()
            summary = self._finish()
        return Saved("saved", self._batch.id, self._batch, summary, self._folder.path)

    def _read(self, batches: MessageBatches) -> None:
        """Go through the results: those of an earlier run, else those of the API."""
        if not self._downloads:
            take = self._begin()
            with self._folder.reading(RESULTS_FILE) as file:
                for piece in pieces(file):
                    take(piece)
            return
        try:
            take = self._begin()
            for downloaded in batches.download_results(self._batch):
                if downloaded is None:
                    take = self._begin()
                elif downloaded:
                    take(downloaded)
            take(b"")
        except APIStatusError as error:
            if error.status_code != 404:
                raise
            raise SaveError(no_results_now(error, self._batch.id)) from error

    def _begin(self) -> Callable[[bytes], object]:
        self._folder.drop()
        self._tally, self._lines, self._bytes = Tally(self._retry), Lines(), 0
        self._results = self._folder.part(RESULTS_FILE) if self._downloads else None
        self._ids = None if self._options.requests else self._folder.part(IDS_FILE)
        if self._options.split:
            for name in _SPLIT.values():
                self._folder.part(name)
        return self._take

    def _take(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._results:
            self._results.write(piece)
        for line, kind, fate, custom_id in self._tally.read(self._lines.feed(piece)):
            if fate == INVALID:
                self._folder.part(INVALID_FILE).write(line)
            if self._options.split:
                self._folder.part(_SPLIT.get(kind, _OTHER)).write(line)
            if fate == RESUBMIT and self._ids and custom_id:
                self._ids.write(_id_line(custom_id))
        self._progress(self._bytes, self._tally.lines)

    def _check(self) -> None:
        """Compare with the batch's own counts.

        Raises:
            SaveError: They differ.
        """
        expected = {kind: getattr(self._batch.request_counts, kind) for kind in TYPES}
        counted = self._tally.counts
        more = any(counted[kind] > expected[kind] for kind in TYPES)
        if more or self._tally.lines != sum(expected.values()):
            others = self._tally.lines - sum(counted[kind] for kind in TYPES)
            if self._downloads:
                self._folder.keep(RESULTS_FILE)
            raise SaveError(
                f"The results of {self._batch.id} do not match its counts: the batch has {_told(expected)}; "
                f"{self._tally.lines:,} lines came, {_told(counted)}{f', {others:,} others' if others else ''}. "
                + (
                    f"What came is in {self._folder.shown}/{RESULTS_FILE}.part; run the command again to start over."
                    if self._downloads
                    else f"The files in {self._folder.shown} were left as they are; remove them and run the command "
                    "again."
                )
            )

    def _finish(self) -> dict[str, Any]:
        """Write what follows from all results, and give the files their names."""
        self._tally.repeated = self._tally.fates.sort()
        described, resubmit = None, self._tally.fated[RESUBMIT]
        if self._options.requests:
            described, resubmit = self._with_file(self._options.requests)
        elif self._tally.repeated:
            self._folder.drop(IDS_FILE)
            resubmit = self._write_ids()
        self._folder.part(BATCH_FILE).write(self._batch.to_json().encode() + b"\n")
        sizes = self._folder.sizes()
        summary = {
            "message_batch_id": self._batch.id,
            "created_at": self._batch.created_at.isoformat(),
            "ended_at": self._batch.ended_at.isoformat() if self._batch.ended_at else None,
            "results_available_until": (self._batch.created_at + KEPT).isoformat(),
            "request_counts": self._batch.request_counts.model_dump(include={*TYPES, "processing"}),
            **self._tally.described(),
            "retry": list(self._retry),
            "split": self._options.split,
            "requests_file": described,
            "to_resubmit": resubmit,
            "invalid": self._tally.fated[INVALID],
            "files": sizes if self._downloads else {**sizes, RESULTS_FILE: self._bytes},
        }
        self._folder.part(SUMMARY).write(ascii_json(summary).encode() + b"\n")
        self._folder.commit(outdated=_GENERATED, own=RESUBMIT_FILE)
        return summary

    def _with_file(self, requests: RequestsFile) -> tuple[dict[str, Any], int]:
        """Find the requests that are to be sent again; return what is told about the file, and their number."""
        fates = self._tally.fates
        again = unanswered = resubmit = 0
        out = self._folder.part(RESUBMIT_FILE)
        for key, line in zip(requests.order, requests, strict=True):
            fate, repeated = fates.find(key)
            if fate is None:
                unanswered += 1
                self._folder.part(UNANSWERED_FILE).write(line)
            elif repeated:
                again += 1
            elif fate == RESUBMIT:
                resubmit += 1
                out.write(line)
        wrong = bool(self._tally.lines) and not fates.met()
        if wrong:  # nothing of the file belongs to this batch: as without one
            self._folder.drop(RESUBMIT_FILE, UNANSWERED_FILE)
        never_found = fates.never_found()
        if never_found[RESUBMIT] or wrong:
            self._write_ids()
        described = {
            "path": requests.shown,
            "bytes": requests.length,
            "crc32": requests.crc,
            "requests": len(requests.order),
            "unanswered": unanswered,
            "repeated": again,
            "results_without_request": sum(never_found),
            "to_resubmit_without_request": never_found[RESUBMIT],
            "is_of_another_batch": wrong,
        }
        return described, resubmit

    def _write_ids(self) -> int:
        """Write the custom_ids to send again that were not asked for yet, in one more pass over the results."""
        tally, lines, number = Tally(self._retry), Lines(), 0
        out = self._folder.part(IDS_FILE)
        with self._folder.reading(RESULTS_FILE, part=self._downloads) as file:
            for piece in pieces(file):
                for _, _, _, custom_id in tally.read(lines.feed(piece)):
                    if custom_id and self._tally.fates.find(identity(custom_id)) == (RESUBMIT, False):
                        number += 1
                        out.write(_id_line(custom_id))
        return number


def _id_line(custom_id: str) -> bytes:
    """Return a custom_id as a line: as it is, or as JSON where it would not stay one line of text."""
    plain = custom_id.isascii() and custom_id.isprintable()
    return (custom_id if plain else json.dumps(custom_id)).encode() + b"\n"


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in TYPES)
