"""Names that people gave to batches. The API keeps none, so they are in the record of this machine (``record/``).

Where the record is, what a name may be, and a lookup, of names and of who created a batch, that never fails and never
writes. If there is no record, it costs nothing.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cancel_message_batch.api.errors import InvalidInputError, MessageBatchError, clean
from cancel_message_batch.api.models import ID_PREFIX, CreatedBy, MessageBatch, with_context

VARIABLE = "CANCEL_MESSAGE_BATCH_RECORD"
NAME_LIMIT = 100  # characters
_PATIENCE = 0.2  # seconds to wait for a record that is locked, before names are left out


def record_path() -> Path | None:
    """Return where the record is, whether or not there is one yet; None when it is turned off."""
    given = os.environ.get(VARIABLE)
    if given == "off":
        return None
    if given:
        return Path(os.path.expanduser(given))
    # What platformdirs would say; every listing asks for it, and that import takes longer than all the rest.
    if sys.platform == "win32":
        state = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        state = "~/Library/Application Support"
    else:
        state = os.environ.get("XDG_STATE_HOME", "").strip() or "~/.local/state"
    return Path(os.path.expanduser(state), "cancel-message-batch", "record.sqlite3")


def clean_name(text: str) -> str:
    """Make a name one line without control characters; an empty one stays empty.

    One that is too long, holds nothing that can be shown, or could be taken for an id, is an InvalidInputError.
    """
    name = _one_line(text, limit=NAME_LIMIT + 1)
    if len(name) > NAME_LIMIT:
        raise InvalidInputError(f"a name has at most {NAME_LIMIT} characters, and this one has {len(text):,}")
    if text and not name:
        raise InvalidInputError("the name has no visible character")
    if ID_PREFIX in name:
        raise InvalidInputError(f"a name cannot contain {ID_PREFIX}, so that nobody mistakes it for an id")
    return name


def _one_line(text: str, *, limit: int) -> str:
    # Names are shown in double quotes. Without a double quote inside, no name can seem to end early.
    return clean(text, limit=limit).replace('"', "'")


def has_record() -> bool:
    """Return whether there is a record, in which batches may have names."""
    path = record_path()
    return path is not None and os.path.isfile(path)


def record_fault(path: Path) -> str:
    """Return why a record that exists cannot be trusted; nothing if it can. Others must not be able to write to it."""
    for one in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))):  # SQLite's own, beside it
        try:
            found = one.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link"}
            return f"it is {kinds.get(stat.S_IFMT(found.st_mode), 'not a plain file')}"
        if sys.platform != "win32":
            if found.st_uid != os.geteuid():
                return "it belongs to another user"
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return "others may write to it: chmod 600 makes it yours alone"
    return ""


# Version 1 of the record did not know for every batch who created it: from there, only names are read.
_HERE = "WHERE batches.id = ?1 AND (?2 IS NULL OR coalesce(origin, '') IN (?2, '')) ORDER BY origin IS NOT ?2"
_NAME, _PROGRAM = "substr(name, 1, 1000)", "number, host, pid, started, substr(programs.program, 1, 1000)"
_QUERIES = {
    1: f"SELECT {_NAME} FROM batches {_HERE}",  # noqa: S608 - constants
    2: f"SELECT {_NAME}, {_PROGRAM} FROM batches LEFT JOIN programs ON number = batches.program {_HERE}",  # noqa: S608
}


def known_here(batches: Sequence[MessageBatch], *, needed: bool = False) -> list[MessageBatch]:
    """Return the batches with what the record knows about them, their names and creators; without, where it is broken.

    Both belong to an id and an origin. Where names are ``needed``, a record that cannot be read is a MessageBatchError.
    """
    path = record_path()
    if not batches or path is None or not has_record():
        return list(batches)
    with contextlib.suppress(OSError):
        if record_fault(path):
            return list(batches)
    import sqlite3

    # SQLite would create the two files of its journal, unless it is told that nobody is writing.
    unchanging = "" if os.path.exists(f"{path}-wal") else "&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode=ro{unchanging}"
    programs: dict[object, CreatedBy] = {}  # each is looked for once
    with (
        _forgiving(sqlite3.Error, path, needed=needed),
        contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as record,
    ):
        record.text_factory = lambda text: text.decode("utf-8", "replace")  # a broken name hides no other
        version = record.execute("PRAGMA user_version").fetchone()[0]
        query, found = _QUERIES.get(version, _QUERIES[2]), []
        for batch in batches:
            created_by = CreatedBy() if version > 1 and batch.context.origin else None
            rows = record.execute(query, (batch.id, batch.context.origin))
            found.append(_known(batch, rows, created_by, programs))
        return found
    return list(batches)


def _known(
    batch: MessageBatch, rows: Iterable[Sequence[Any]], created_by: CreatedBy | None, programs: dict[object, CreatedBy]
) -> MessageBatch:
    """Return a batch with what these rows of the record say about it."""
    name = ""
    for given, *program in rows:
        name = name or _shown(given)
        if created_by is not None and program[0] is not None:
            number, *process = program
            created_by = programs[number] = programs.get(number) or _created_by(*process)
    return with_context(batch, name=name or None, created_by=created_by)


def _created_by(host: object, pid: object, started: object, program: object) -> CreatedBy:
    from .processes import Process  # few batches need it

    process = Process(str(host), pid if isinstance(pid, int) else 0, str(started), str(program))
    where = "" if process.is_here() else _shown(host) or "another host"
    return CreatedBy(_shown(program) or "a program", process.pid, where, process.is_alive())


def _shown(text: object) -> str:
    """Return a text as it can be shown, whoever wrote it; nothing if it could be taken for an id."""
    shown = _one_line(text, limit=NAME_LIMIT) if isinstance(text, str) else ""
    return shown if ID_PREFIX not in shown else ""


@contextlib.contextmanager
def _forgiving(errors: type[Exception], path: Path, *, needed: bool) -> Iterator[None]:
    try:
        yield
    except errors as error:
        if needed:
            shown = clean(str(path), limit=400)
            raise MessageBatchError(f"The record {shown} cannot be read ({clean(str(error))}).") from None
