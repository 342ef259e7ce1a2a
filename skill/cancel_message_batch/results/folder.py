"""The directory that one batch is saved in: private, locked, and without a moment in which half of it looks whole.

Everything is written to ``NAME.part`` and renamed at the end, ``summary.json`` last: where that file is, the others
are complete. Nothing in the way is followed, neither a link nor a name that came from the API.
"""

import contextlib
import json
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from cancel_message_batch.api.errors import MessageBatchError, clean

SUMMARY = "summary.json"  # the mark of completeness
_PART = ".part"
_LOCK = ".lock"


class SaveError(MessageBatchError):
    """The results could not be saved. The message says why, and what is left."""


class BusyError(SaveError):
    """Another run is saving to the directory."""


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Turn an error of the file system into one sentence.

    Raises:
        SaveError: The file system refused.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise SaveError(f"{what}: {clean(reason)}") from error


class Folder:
    """``DIR/ID``, locked for one run at a time.

    Args:
        directory: The directory below which it lies; made where it is missing.
        name: The message batch id, which was checked to hold only letters, digits, - and _.

    Raises:
        SaveError: The directory cannot be used, or another run is saving the same batch.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.path = Path(os.path.normpath(directory)) / name
        self.shown = clean(str(self.path), limit=400)
        self._descriptors: list[int] = []
        self._parts: dict[str, IO[bytes]] = {}
        self._kept = ""
        if sys.platform == "win32":
            raise SaveError("Results are saved only on systems with POSIX directories, such as Linux and macOS.")
        try:
            self._open(self.path.parent, name)
        except BaseException:
            self.close()
            raise

    def _open(self, parent: Path, name: str) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        with told(f"The directory {clean(str(parent), limit=400)} cannot be used"):
            for missing in reversed([up for up in (parent, *parent.parents) if not os.path.lexists(up)]):
                with contextlib.suppress(FileExistsError):
                    missing.mkdir(mode=0o700)
            above = os.open(parent, flags)
        self._descriptors.append(above)
        with told(f"The directory {self.shown} cannot be used"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=above)
            self._here = os.open(name, flags, dir_fd=above)
            self._descriptors.append(self._here)
            os.fchmod(self._here, 0o700)
            self._lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=self._here)
            self._descriptors.append(self._lock)
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise BusyError(f"Another run is saving to {self.shown}. Nothing was changed by this one.") from error

    def summary(self) -> dict[str, Any] | None:
        """Return what a complete run has noted, None when there was none."""
        try:
            with self.reading(SUMMARY) as file:
                found = json.load(file)
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None

    def damaged(self, summary: dict[str, Any], *, but: str = "") -> set[str]:
        """Return the files that are not as long as they were written; of the one that may be edited, if it is gone."""
        sizes = {name: self._size(name) for name in map(str, summary["files"])}
        return {
            name for name, size in sizes.items() if size is None or (name != but and size != summary["files"][name])
        }

    def _size(self, name: str) -> int | None:
        """Return the size of a file; None when there is no regular file of this name."""
        try:
            found = os.stat(name, dir_fd=self._here, follow_symlinks=False)
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def reading(self, name: str, *, part: bool = False) -> IO[bytes]:
        """Open a file to read it, or what has been written so far to the one that replaces it."""
        if part:
            self._parts[name].flush()
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return open(os.open(name + _PART * part, flags, dir_fd=self._here), "rb")

    def part(self, name: str) -> IO[bytes]:
        """Return the temporary file that becomes a file of this name."""
        if name not in self._parts:
            with told(f"{self.shown}/{name}{_PART} cannot be written"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name + _PART, dir_fd=self._here)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                file = os.open(name + _PART, flags, 0o600, dir_fd=self._here)
                self._parts[name] = open(file, "wb", buffering=2**18)  # noqa: SIM115 - closed by close
        return self._parts[name]

    def drop(self, *names: str) -> None:
        """Give up temporary files; all of them when none is named."""
        for name in names or tuple(self._parts):
            with contextlib.suppress(OSError):
                self._parts.pop(name).close()

    def keep(self, name: str) -> None:
        """Leave one temporary file behind, for a person to look at."""
        self._kept = name

    def sizes(self) -> dict[str, int]:
        """Return the size of each temporary file."""
        return {name: file.tell() for name, file in sorted(self._parts.items())}

    def edited(self, name: str) -> bool:
        """Return whether a file is there that is not as a run has written it."""
        try:
            with self.reading(name) as file:
                return _checksum(file) not in self._noted()
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _noted(self) -> list[bytes]:
        """Return how the file that a person may edit was written by each run; the next note follows."""
        os.lseek(self._lock, 0, os.SEEK_SET)
        return os.read(self._lock, 2**20).splitlines()

    def commit(self, *, outdated: tuple[str, ...], own: str) -> None:
        """Give the temporary files their final names, the summary last.

        Args:
            outdated: Files of an earlier run that are removed, unless this run has written them anew.
            own: The file that a person may edit; how it was written is noted first.
        """
        if own in self._parts:
            with self.reading(own, part=True) as file:
                written = _checksum(file)
            if written not in self._noted():
                os.write(self._lock, written + b"\n")
                os.fsync(self._lock)
        for file in self._parts.values():
            with file:
                file.flush()
                os.fsync(file.fileno())
        for name in (SUMMARY, *(name for name in outdated if name not in self._parts)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._here)
        os.fsync(self._here)
        for name in sorted(self._parts, key=SUMMARY.__eq__):
            if name == SUMMARY:
                os.fsync(self._here)
            os.rename(name + _PART, name, src_dir_fd=self._here, dst_dir_fd=self._here)
        os.fsync(self._here)

    def close(self) -> None:
        """Remove the temporary files, and let other runs in."""
        if self._parts:
            self.drop()
            for name in os.listdir(self._here):
                if name.endswith(_PART) and name != self._kept + _PART:
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=self._here)
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _checksum(file: IO[bytes]) -> bytes:
    """Return the length and the CRC-32 of a file."""
    length = crc = 0
    while piece := file.read(2**20):
        length += len(piece)
        crc = zlib.crc32(piece, crc)
    return b"%d %d" % (length, crc)
