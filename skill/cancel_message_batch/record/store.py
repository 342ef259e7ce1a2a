"""The file of the record: its tables, and reading and writing it so that a broken file stops no command.

Any number of processes may write to it at once. Each operation opens and closes the file.
"""

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from cancel_message_batch.api.errors import clean

from .names import VARIABLE, clean_name, record_path
from .processes import Process

# What brings a file from each version (PRAGMA user_version) to the next. Never edit one that was released. Nothing
# uses models, first_custom_id and last_custom_id any more.
_MIGRATIONS = (
    """
    CREATE TABLE batches (
        id TEXT PRIMARY KEY,
        name TEXT,
        origin TEXT,
        workspace TEXT,
        created_at REAL,
        host TEXT,
        pid INTEGER,
        started TEXT,
        program TEXT,
        requests INTEGER,
        models TEXT,
        first_custom_id TEXT,
        last_custom_id TEXT,
        ended INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE actions (
        number INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        id TEXT NOT NULL,
        through TEXT NOT NULL,
        what TEXT NOT NULL,
        consent TEXT,
        words TEXT,
        answer TEXT,
        origin TEXT,
        workspace TEXT
    );
    CREATE INDEX actions_of_a_batch ON actions (id);
    """,
)
_PATIENCE = 2.0  # seconds to wait for another process that writes
_LIMIT = 500  # characters of a text that is kept
_LIFETIME = timedelta(hours=25)  # after this a batch has ended: it expires 24 hours after its creation
_creating = threading.Lock()

Value = TypeVar("Value")
_Statement = tuple[str, tuple[object, ...]]  # SQL, and its values

# Named tuples: each class that dataclasses makes would add a millisecond to a cancel.


class KnownBatch(NamedTuple):
    """What this machine knows about a batch: None where it does not know.

    ``process`` created it, with so many ``requests``. ``ended`` says that it was seen to have ended.
    """

    message_batch_id: str
    origin: str | None = None
    process: Process | None = None
    workspace: str | None = None
    name: str | None = None
    requests: int | None = None
    ended: bool = False


class Action(NamedTuple):
    """Something that was done to a batch.

    ``origin`` and ``workspace`` say where the batch is, and are None where it was not found. The record fills in the
    last two: the time, and the name that the batch has now.
    """

    message_batch_id: str
    through: str
    what: str
    consent: str | None = None
    words: str | None = None
    answer: str | None = None
    origin: str | None = None
    workspace: str | None = None
    at: datetime = datetime.fromtimestamp(0, UTC)
    name: str | None = None


class _UnusableError(Exception):
    """The file is not a record that this version can use."""


class Record:
    """The record. If the file cannot be used, no method raises: the first one warns in one line, and all do without it.

    ``path`` is the file, or None if the record is turned off. ``fault`` says why the last operation failed, or is None.
    """

    def __init__(self, path: Path | None, warn: Callable[[str], None] | None = None) -> None:
        self.fault = None if path else f"The record is turned off ({VARIABLE}=off)."
        self.path = path
        self._warn = warn

    def check(self) -> None:
        """Open the file, if there is one, and read it."""
        self._read("SELECT id FROM batches LIMIT 1", (), tuple)

    def add_creation(self, batch: KnownBatch, through: str) -> None:
        """Record a batch that was just created, through the guard or through ``run``."""
        host, pid, started, program = batch.process or (None, None, None, None)
        name, message_batch_id = _kept(batch.name), _kept(batch.message_batch_id)
        row = (name, _now(), _kept(host), pid, started, _kept(program), batch.requests, message_batch_id)
        self._write(
            *_statements(
                Action(batch.message_batch_id, through, "create", origin=batch.origin, workspace=batch.workspace)
            ),
            (
                "UPDATE batches SET name = coalesce(?, name), created_at = ?, host = ?, pid = ?, started = ?, "
                "program = ?, requests = ? WHERE id = ?",
                row,
            ),
        )

    def add_action(self, *actions: Action) -> None:
        """Record what was done, now; several actions in one transaction."""
        self._write(*(statement for action in actions for statement in _statements(action)))

    def set_name(self, message_batch_id: str, text: str) -> str:
        """Give a batch a name, which is returned as ``clean_name`` makes it; an empty one removes it."""
        name = clean_name(text)
        self._write(
            *_statements(Action(message_batch_id, "command line", "name", words=name or None)),
            ("UPDATE batches SET name = ? WHERE id = ?", (name or None, message_batch_id)),
        )
        return name

    def note_ended(self, ids: Iterable[str]) -> None:
        """Record that batches have ended, or no longer exist."""
        self._write(*(("UPDATE batches SET ended = 1 WHERE id = ?", (one,)) for one in ids))

    def known(self, message_batch_id: str) -> KnownBatch | None:
        """Return what is in the record about a batch."""
        found = self._read("SELECT * FROM batches WHERE id = ?", (message_batch_id,), _known)
        return found[0] if found else None

    def orphans(self, origin: str) -> list[KnownBatch]:
        """Return the batches at an origin that may be running although the process that created them is gone."""
        query = (
            "SELECT * FROM batches WHERE origin = ? AND pid IS NOT NULL AND NOT ended AND created_at > ? "
            "ORDER BY created_at DESC"
        )
        found = self._read(query, (origin, _now() - _LIFETIME.total_seconds()), _known)
        return [batch for batch in found if batch.process and batch.process.is_gone()]

    def history(self, message_batch_id: str | None = None) -> list[Action]:
        """Return what was done to one batch, or to all, newest first."""
        query = (
            "SELECT id, through, what, consent, words, answer, actions.origin, actions.workspace, at, "
            "(SELECT name FROM batches WHERE batches.id = actions.id) FROM actions "
            "WHERE ?1 IS NULL OR id = ?1 ORDER BY at DESC, number DESC"
        )
        return self._read(
            query,
            (message_batch_id,),
            lambda row: Action._make([*row[:8], datetime.fromtimestamp(row[8], UTC), row[9]]),
        )

    def _read(self, query: str, values: Sequence[object], make: Callable[[sqlite3.Row], Value]) -> list[Value]:
        effect = "its contents are not shown"
        return (
            self._use(lambda record: [make(row) for row in record.execute(query, values)], effect, create=False) or []
        )

    def _write(self, *statements: _Statement) -> None:
        def write(record: sqlite3.Connection) -> None:
            record.execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                record.execute(statement, values)
            record.execute("COMMIT")

        if statements:
            self._use(write, "this is not recorded", create=True)

    def _use(self, use: Callable[[sqlite3.Connection], Value], effect: str, *, create: bool) -> Value | None:
        if self.path is None:
            return None
        self.fault = None
        try:
            with contextlib.closing(_opened(self.path, create=create)) as record:
                return use(record)
        except (sqlite3.Error, OSError, _UnusableError, ValueError, OverflowError) as error:
            if isinstance(error, FileNotFoundError) and not create:  # nothing was recorded yet
                return None
            reason = getattr(error, "strerror", None) or str(error)
            path = clean(str(self.path), limit=400)
            self.fault = f"The record {path} cannot be used ({clean(reason)}), so {effect}."
            if self._warn:
                self._warn(self.fault)
                self._warn = None
            return None


def open_record(warn: Callable[[str], None] | None = None) -> Record:
    """Return the record of this machine's user, or of ``CANCEL_MESSAGE_BATCH_RECORD``; ``off`` turns it off."""
    return Record(record_path(), warn)


def _opened(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the file at the version of this program."""
    # SQLite keeps its locks only as long as this process closes no other descriptor of the same file.
    with _creating:
        _check(path, create=create)
    record = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None)
    record.row_factory = sqlite3.Row
    try:
        if _version(record) < len(_MIGRATIONS):
            with contextlib.suppress(sqlite3.OperationalError):  # another process is just doing it
                record.execute("PRAGMA journal_mode = WAL")
            _migrate(record)
        record.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        record.close()
        raise
    return record


def _check(path: Path, *, create: bool) -> None:
    """Refuse what is not a plain file; a file that is missing can be made, for nobody else to read."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not create:
            raise
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a symbolic link" if stat.S_ISLNK(mode) else "not a plain file"
        raise _UnusableError(f"it is {kind}")


def _version(record: sqlite3.Connection) -> int:
    version: int = record.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise _UnusableError("a newer version of this program has written it")
    return version


def _migrate(record: sqlite3.Connection) -> None:
    record.execute("BEGIN IMMEDIATE")
    version = _version(record)
    if version == 0 and record.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise _UnusableError("it is another program's database")
    for script in _MIGRATIONS[version:]:
        for statement in script.split(";"):
            record.execute(statement)
    record.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    record.execute("COMMIT")


def _statements(action: Action) -> list[_Statement]:
    """Return the statements that record an action and its batch."""
    row = (_kept(action.message_batch_id), _kept(action.origin), _kept(action.workspace))
    what = (_now(), action.through, action.what, action.consent, _kept(action.words), _kept(action.answer))
    return [
        (
            "INSERT INTO batches (id, origin, workspace) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET origin = coalesce(excluded.origin, origin), workspace = coalesce(excluded.workspace, workspace)",
            row,
        ),
        (
            "INSERT INTO actions (id, origin, workspace, at, through, what, consent, words, answer) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, *what),
        ),
    ]


def _known(row: sqlite3.Row) -> KnownBatch:
    process = Process(*map(row.__getitem__, Process._fields)) if row["pid"] is not None else None
    where = row["id"], row["origin"], process, row["workspace"]
    return KnownBatch(*where, row["name"], row["requests"], bool(row["ended"]))


def _kept(text: str | None) -> str | None:
    """Return a text as it is kept: one line without control characters, not too long."""
    return clean(text, limit=_LIMIT) if text else None


def _now() -> float:
    return datetime.now(UTC).timestamp()
