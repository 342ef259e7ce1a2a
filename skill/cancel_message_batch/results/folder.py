"""The directory that one batch is saved in: private, locked, and complete or not there.

Everything is written to ``NAME.part`` and renamed at the end, ``summary.json`` last: where that file is, the others
are complete. No name from the API becomes a file name. On systems with POSIX directories no link below the directory
that the user chose is followed; elsewhere (Windows) files are opened by their paths.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from cancel_message_batch.api.errors import MessageBatchError, clean

SUMMARY = "summary.json"  # the mark of completeness
_PART = ".part"
_BUFFER = 2**20


class SaveError(MessageBatchError):
    """The results could not be saved. The message says why, and what is left."""


class BusyError(SaveError):
    """Another run is saving to the directory."""


@contextlib.contextmanager
def one_sentence(what: str, advice: str = "") -> Iterator[None]:
    """Turn an error of the file system into a ``SaveError`` of one sentence."""
    try:
        yield
    except OSError as error:
        raise SaveError(f"{what}: {clean(error.strerror or str(error))}{advice}") from error


def checksum(file: IO[bytes]) -> dict[str, int]:
    """Return the length and the CRC-32 of what can be read."""
    length = crc = 0
    while piece := file.read(_BUFFER):
        length += len(piece)
        crc = zlib.crc32(piece, crc)
    return {"bytes": length, "crc32": crc}


def _flags(*names: str) -> int:
    """Return the flags of ``os.open`` that this system has."""
    return sum(getattr(os, name, 0) for name in names)


@contextlib.contextmanager
def open_folder(directory: Path, name: str) -> Iterator["Folder"]:
    """Open ``DIR/ID`` for one run at a time, made where it is missing; on leaving, temporary files are removed.

    ``directory`` may be a link to a directory. ``name`` is a checked id. A SaveError says what is in the way.
    """
    from filelock import lock_descriptor

    folder = Folder(directory / name)
    with contextlib.ExitStack() as resources:
        with one_sentence(f"The directory {folder.shown} cannot be used"):
            for missing in reversed([up for up in (folder.path, *folder.path.parents) if not os.path.lexists(up)]):
                with contextlib.suppress(FileExistsError):
                    missing.mkdir(mode=0o700)
            if (directory_only := _flags("O_DIRECTORY")) and os.open in os.supports_dir_fd:
                folder.at = os.open(folder.path, os.O_RDONLY | directory_only | _flags("O_NOFOLLOW"))
                resources.callback(os.close, folder.at)
            os.chmod(folder.path if folder.at is None else folder.at, 0o700)
            lock = resources.enter_context(open(".lock", "ab", opener=folder.opener))
        advice = ". Choose a directory on a file system that has locks. Nothing was changed."
        with one_sentence(f"The directory {folder.shown} cannot be locked", advice):
            if not lock_descriptor(lock.fileno(), blocking=False):
                raise BusyError(f"Another run is saving to {folder.shown}. Nothing was changed by this one.")
        resources.callback(folder.remove_parts)
        yield folder


class Folder:
    """What one run reads and writes in the directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = clean(str(path), limit=400)
        self.at: int | None = None  # the directory's descriptor; None where files are opened by their paths
        self.kept = ""  # the file whose temporary file is left behind, for a person to look at
        self._parts: dict[str, IO[bytes]] = {}

    def _name(self, name: str) -> str:
        return str(self.path / name) if self.at is None else name

    def opener(self, name: str, flags: int) -> int:
        """Open a file of the directory as ``open(opener=…)`` wants it."""
        return os.open(self._name(name), flags | _flags("O_NOFOLLOW", "O_NONBLOCK"), 0o600, dir_fd=self.at)

    def _remove(self, *names: str) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name(name), dir_fd=self.at)

    def _sync(self) -> None:
        if self.at is not None:
            os.fsync(self.at)

    def summary(self) -> dict[str, Any] | None:
        """Return what a complete run has written about itself; None if there was none."""
        try:
            with self.reading(SUMMARY) as file:
                found = json.load(file)
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None

    def size(self, name: str) -> int | None:
        """Return the size of a file; None when there is no file of this name, or only a link."""
        try:
            with self.reading(name) as file:
                return os.fstat(file.fileno()).st_size
        except OSError:
            return None

    def checksum(self, name: str, *, part: bool = False) -> dict[str, int] | None:
        """Return the checksum of a file; None when it is not there, and an empty one when it cannot be read."""
        try:
            with self.reading(name, part=part) as file:
                return checksum(file)
        except FileNotFoundError:
            return None
        except OSError:
            return {}

    def reading(self, name: str, *, part: bool = False) -> IO[bytes]:
        """Open a file to read it, or what has been written so far to the one that replaces it."""
        if part:
            self._parts[name].flush()
        return open(name + _PART * part, "rb", buffering=_BUFFER, opener=self.opener)

    def part(self, name: str) -> IO[bytes]:
        """Return the temporary file that becomes a file of this name."""
        if name not in self._parts:
            with one_sentence(f"{self.shown}/{name}{_PART} cannot be written"):
                self._remove(name + _PART)
                self._parts[name] = open(name + _PART, "xb", buffering=_BUFFER, opener=self.opener)  # noqa: SIM115
        return self._parts[name]

    def drop(self, *names: str) -> None:
        """Give up temporary files."""
        for name in names:
            with contextlib.suppress(OSError, KeyError):
                self._parts.pop(name).close()

    def sizes(self) -> dict[str, int]:
        """Return the size of each temporary file."""
        return {name: file.tell() for name, file in sorted(self._parts.items())}

    def commit(self, *, outdated: Iterable[str]) -> None:
        """Remove the outdated files of an earlier run; give the temporary files their names, the summary last."""
        for file in self._parts.values():
            with file:
                file.flush()
                os.fsync(file.fileno())
        self._remove(*outdated, SUMMARY)
        self._sync()
        for name in sorted(self._parts, key=SUMMARY.__eq__):
            if name == SUMMARY:
                self._sync()
            os.replace(self._name(name + _PART), self._name(name), src_dir_fd=self.at, dst_dir_fd=self.at)
        self._sync()

    def remove_parts(self) -> None:
        """Remove the temporary files of this run and of earlier ones, if this run has written any."""
        if self._parts:
            self.drop(*self._parts)
            parts = [name for name in os.listdir(self.path if self.at is None else self.at) if name.endswith(_PART)]
            with contextlib.suppress(OSError):
                self._remove(*(name for name in parts if name != self.kept + _PART))
