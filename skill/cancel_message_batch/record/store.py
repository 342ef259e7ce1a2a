"""The file of the record: its tables, and reading and writing it so that a broken file stops no command.

Any number of processes may write to it at once. Each operation opens and closes the file.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from cancel_message_batch.api.errors import clean

from .names import VARIABLE, clean_name, record_fault, record_path
from .processes import Process, is_ours_alone

# What brings a file from each version (PRAGMA user_version) to the next. Never edit one that was released.
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
    # Version 1 did not record how a program ended: its batches count as settled, and are never called left behind.
    """
    CREATE TABLE programs (
        number INTEGER PRIMARY KEY,
        through TEXT NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        program TEXT NOT NULL,
        watcher_pid INTEGER,
        watcher_started TEXT,
        began REAL NOT NULL,
        ended REAL,
        end TEXT,
        well INTEGER
    );
    CREATE TABLE intents (
        number INTEGER PRIMARY KEY,
        program INTEGER NOT NULL,
        at REAL NOT NULL,
        origin TEXT NOT NULL,
        requests INTEGER,
        sha256 TEXT,
        id TEXT,
        outcome TEXT
    );
    ALTER TABLE batches RENAME TO batches_1;
    CREATE TABLE batches (
        id TEXT NOT NULL,
        origin TEXT NOT NULL,
        workspace TEXT,
        name TEXT,
        requests INTEGER,
        created_at REAL,
        program INTEGER,
        settled TEXT,
        PRIMARY KEY (id, origin)
    );
    INSERT INTO programs (through, host, pid, started, program, began)
        SELECT coalesce((SELECT through FROM actions WHERE id = batches_1.id AND what = 'create'), 'run'),
            coalesce(host, ''), pid, coalesce(started, ''), coalesce(program, ''), min(created_at)
        FROM batches_1 WHERE pid IS NOT NULL AND created_at IS NOT NULL GROUP BY host, pid, started, program;
    INSERT INTO batches
        SELECT id, coalesce(origin, ''), workspace, name, requests, created_at,
            (SELECT number FROM programs AS one WHERE one.pid = batches_1.pid
                AND one.host = coalesce(batches_1.host, '') AND one.started = coalesce(batches_1.started, '')
                AND one.program = coalesce(batches_1.program, '')),
            CASE WHEN ended THEN 'ended' ELSE 'not known' END
        FROM batches_1;
    DROP TABLE batches_1;
    """,
    # Several processes may create in one guard block: those that were forked in it.
    "ALTER TABLE programs ADD COLUMN block TEXT",
)
_PATIENCE = 2.0  # seconds to wait for another process that writes
_PATIENCE_AFTER = 0.05  # the same, after that was in vain: many notes are not to wait one after the other
_LIMIT = 500  # characters of a text that is kept
_AT_ONCE = 500  # ids in one query
_LIFETIME = 25 * 3600  # seconds after which a batch has ended: it expires 24 hours after its creation
# How a batch stands after a cancel with these outcomes. It is settled: nobody has to stop it any more.
_SETTLED = {"canceling": "canceling", "already canceling": "canceling", "ended": "ended", "already ended": "ended"}
_creating = threading.Lock()

Value = TypeVar("Value")
_Statement = tuple[str, tuple[object, ...]]  # SQL, and its values

# Named tuples: each class that dataclasses makes would add a millisecond to a cancel.


class KnownBatch(NamedTuple):
    """What this machine knows about a batch: None where it does not know.

    ``origin`` is where it is: the scheme, host and port of its base URL. ``process`` created it, with so many
    ``requests``. ``ended`` says that it was seen to have ended.
    """

    message_batch_id: str
    origin: str | None = None
    process: Process | None = None
    workspace: str | None = None
    name: str | None = None
    requests: int | None = None
    ended: bool = False


class Creator(NamedTuple):
    """The program on this machine that created a batch, ``at`` this time, under ``run`` or in a ``guard`` block.

    ``here`` says that it ran on this host: two machines may share a home directory. ``alive`` says that the program is
    certainly still running. ``ended`` is when the command under ``run`` or the guard block ended, and ``end`` how, such
    as "exit code 1", "SIGINT" or "ValueError": both None while it runs, and where nobody could note it. ``well`` is
    None as long; True says that it left its batches running on purpose.
    """

    program: str
    pid: int
    through: str
    at: datetime
    host: str
    here: bool
    alive: bool
    ended: datetime | None = None
    end: str | None = None
    well: bool | None = None


class Intent(NamedTuple):
    """A create whose response never came, so that there may be a batch. ``requests`` is None if not known."""

    number: int
    at: datetime
    requests: int | None
    sha256: str | None
    creator: Creator


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
        self._locked = False

    def together(self) -> "Together":
        """Return a record that collects what is recorded, until ``write`` writes it in one transaction."""
        return Together(self.path, self._write)

    def check(self) -> None:
        """Open the file, if there is one, and read it."""
        self._read("SELECT id FROM batches LIMIT 1", (), tuple)

    def begin_program(
        self, through: str, process: Process, watcher: Process | None = None, block: str | None = None
    ) -> int | None:
        """Record a program that is about to create batches: a command under ``run``, or a ``guard`` block.

        ``watcher`` is the process that will note how it ended, if that is another one. ``block`` is the same for all
        processes that create in one guard block: where its end is noted already, it is that of this program too.
        Returns the number of the program, or None where the record cannot be used. A program of which nobody notes the
        end is one that was killed, once both processes are gone.
        """
        watching = (watcher.pid, watcher.started) if watcher else (None, None)
        row = (through, _kept(process.host) or "", process.pid, process.started, _kept(process.program) or "")
        rows = self._write(
            (
                "INSERT INTO programs (through, host, pid, started, program, watcher_pid, watcher_started, began, "
                "block, ended, end, well) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?9, ended, end, well "
                "FROM (SELECT 1) LEFT JOIN programs ON block = ?9 AND watcher_pid IS NULL LIMIT 1",
                (*row, *watching, _now(), block),
            )
        )
        return rows[0] if rows else None

    def end_program(self, number: int | None, end: str, *, well: bool, block: str | None = None) -> None:
        """Record how a program ended, in a few words, and whether ``well``: it left its batches running on purpose.

        With a ``block``, that is also the end of the other programs of this block whose end nobody has noted.
        """
        if number is not None:
            query = "UPDATE programs SET ended = ?, end = ?, well = ? WHERE number = ? OR (block = ? AND well IS NULL)"
            self._write((query, (_now(), _kept(end), well, number, block)))

    def add_intent(
        self, program: int | None, origin: str, requests: int | None = None, sha256: str | None = None
    ) -> int | None:
        """Record, before a create is sent whole, that a program creates a batch; returns the number of the intent.

        ``requests`` is None if not known; ``sha256`` is the hash of the body. Without a program nothing is recorded.
        """
        numbers = self.add_intents(program, (origin, requests, sha256))
        return numbers[0] if numbers else None

    def add_intents(self, program: int | None, *creates: tuple[str, int | None, str | None]) -> list[int]:
        """Record several creates, each as above, in one transaction; returns their numbers, or none if that failed."""
        if program is None:
            return []
        query = "INSERT INTO intents (program, at, origin, requests, sha256) VALUES (?, ?, ?, ?, ?)"
        now = _now()
        return self._write(
            *(
                (query, (program, now, _kept(origin), requests or None, _kept(sha256)))
                for origin, requests, sha256 in creates
            )
        )

    def settle_intent(self, number: int | None, outcome: str, message_batch_id: str | None = None) -> None:
        """Record what came of a create.

        ``outcome`` is "created", "refused" (also when nothing was sent), "lost" (no response came: the batch may
        exist), or "expired" (its batch would have ended by now).
        """
        if number is not None:
            self._write(_settling(number, outcome, message_batch_id))

    def add_creation(
        self, batch: KnownBatch, through: str, *, program: int | None = None, intent: int | None = None
    ) -> None:
        """Record a batch that a program has just created, and so settle its intent.

        Without the number of a program, ``batch.process`` counts as one of which nobody notes the end. What was already
        recorded about the batch holds: this may be written late, and by two programs, ``guard`` and ``run``.
        """
        if program is None and batch.process:
            program = self.begin_program(through, batch.process)
        name, message_batch_id = _kept(batch.name), _kept(batch.message_batch_id)
        row = (name, _now(), program, batch.requests, message_batch_id, _kept(batch.origin) or "")
        self._write(
            *_statements(
                Action(batch.message_batch_id, through, "create", origin=batch.origin, workspace=batch.workspace)
            ),
            (
                "UPDATE batches SET name = coalesce(?, name), created_at = ?, program = ?, requests = ? "
                "WHERE id = ? AND origin = ?",
                row,
            ),
            *([_settling(intent, "created", message_batch_id)] if intent is not None else []),
        )

    def add_action(self, *actions: Action) -> None:
        """Record what was done, now; several actions in one transaction.

        A cancel with an answer that confirms it ("canceling", "already ended": ``ToolOutcome.answer``) and an origin
        settles the batch: it is not left behind any more.
        """
        self._write(*(statement for action in actions for statement in _statements(action)))

    def set_name(self, message_batch_id: str, text: str, origin: str | None = None) -> str:
        """Give a batch a name, which is returned as ``clean_name`` makes it; an empty one removes it.

        The name holds at this ``origin`` only; without one, where the record knows the batch, or where it is seen next.
        """
        name = clean_name(text)
        message_batch_id, origin = _kept(message_batch_id) or "", _kept(origin) or ""
        self._write(
            *_statements(Action(message_batch_id, "command line", "name", words=name or None, origin=origin or None)),
            (
                "INSERT INTO batches (id, origin) SELECT ?1, '' WHERE NOT EXISTS (SELECT 1 FROM batches WHERE id = ?1)",
                (message_batch_id,),
            ),
            (
                "UPDATE batches SET name = ?3 WHERE id = ?1 AND ?2 IN (origin, '')",
                (message_batch_id, origin, name or None),
            ),
        )
        return name

    def note_ended(self, origin: str, ids: Iterable[str]) -> None:
        """Record that batches have ended, or no longer exist."""
        self._settle(origin, ids, "ended")

    def note_failed(self, program: int | None, origin: str, ids: Iterable[str]) -> None:
        """Record that a program failed to cancel these batches, also those that a guard block in it had created."""
        if program is not None:
            query = "UPDATE batches SET program = ? WHERE id = ? AND origin = ? AND settled IS NULL"
            self._write(*((query, (program, one, origin)) for one in ids))

    def note_canceling(self, origin: str, ids: Iterable[str]) -> None:
        """Record that batches were seen to be canceling."""
        self._settle(origin, ids, "canceling")

    def keep(self, origin: str, ids: Iterable[str]) -> None:
        """Record that batches are left running on purpose, however their program ends; their creation may be late."""
        query = (
            "INSERT INTO batches (id, origin, settled) VALUES (?, ?, 'kept') "
            "ON CONFLICT (id, origin) DO UPDATE SET settled = excluded.settled"
        )
        self._write(*((query, (_kept(one), _kept(origin) or "")) for one in ids))

    def _settle(self, origin: str, ids: Iterable[str], how: str) -> None:
        self._write(
            *(("UPDATE batches SET settled = ? WHERE id = ? AND origin = ?", (how, one, origin)) for one in ids)
        )

    def known(self, message_batch_id: str, origin: str | None = None) -> KnownBatch | None:
        """Return what is in the record about a batch, at this origin if it is known there, else anywhere."""
        query = (
            f"SELECT {_BATCH_AND_PROGRAM} WHERE batches.id = ? "
            "ORDER BY batches.origin = ? DESC, batches.program IS NULL, batches.created_at DESC"
        )
        found = self._read(query, (message_batch_id, origin), _known)
        return found[0] if found else None

    def creators(self, origin: str, ids: Iterable[str]) -> dict[str, Creator]:
        """Return who created these batches at an origin, by id; those that were not created through this machine lack.

        A batch with the same id at another origin is another batch.
        """
        found: dict[str, Creator] = {}
        given = list(ids)
        for start in range(0, len(given), _AT_ONCE):
            some = given[start : start + _AT_ONCE]
            query = (
                f"SELECT {_BATCH_AND_PROGRAM} WHERE batches.origin = ? AND programs.number IS NOT NULL "
                f"AND batches.id IN ({', '.join('?' * len(some))})"
            )
            found |= dict(self._read(query, (origin, *some), _Creators()))
        return found

    def mine(self, origin: str) -> set[str]:
        """Return the ids of the batches at an origin that were created through, or named on, this machine."""
        query = "SELECT id FROM batches WHERE origin IN (?, '') AND (program IS NOT NULL OR name IS NOT NULL)"
        return set(self._read(query, (origin,), lambda row: str(row[0])))

    def left_behind(self, origin: str) -> dict[str, Creator]:
        """Return the batches at an origin that may be running although nobody wants them, newest first, by id.

        Their program is surely gone, and did not end well: it was killed, or failed with a cancel that was not
        confirmed. No clock decides: whether a batch has ended, the API says.
        """
        query = (
            f"SELECT {_BATCH_AND_PROGRAM} WHERE batches.origin = ? AND settled IS NULL "
            "AND programs.number IS NOT NULL AND coalesce(well, 0) = 0 "
            "ORDER BY batches.created_at DESC, batches.rowid DESC"
        )
        who = _Creators(self.path)
        return dict(filter(None, self._read(query, (origin,), lambda row: who(row) if who.has_failed(row) else None)))

    def not_judged(self, origin: str) -> tuple[int, int]:
        """Return how many more batches may be left behind: at other origins, and here with a program out of sight.

        Such a program ran on another host or in another container, or this system does not say whether it is gone.
        Only batches that may still run are counted.
        """
        query = (
            f"SELECT {_BATCH_AND_PROGRAM} WHERE settled IS NULL AND programs.number IS NOT NULL "
            "AND coalesce(well, 0) = 0 AND batches.created_at > ?"
        )
        who = _Creators(self.path)
        elsewhere = uncertain = 0
        for here, failed, judged in self._read(
            query,
            (_now() - _LIFETIME,),
            lambda row: (row["origin"] == origin, who.has_failed(row), who.is_judged(row)),
        ):
            elsewhere += failed and not here
            uncertain += here and not failed and not judged
        return elsewhere, uncertain

    def open_intents(self, origin: str) -> list[Intent]:
        """Return the creates at an origin of which nobody knows whether they made a batch, newest first.

        Either the program was killed before the response came, or the response was lost and the program is over.
        """
        query = (
            "SELECT intents.number AS intent, intents.at AS created_at, intents.id AS id, intents.requests, sha256, "
            "outcome, programs.* FROM intents JOIN programs ON programs.number = intents.program "
            "WHERE origin = ? AND (outcome IS NULL OR outcome = 'lost') ORDER BY intents.number DESC"
        )
        who = _Creators(self.path)

        def make(row: sqlite3.Row) -> Intent | None:
            over = who.is_gone(row) or (row["outcome"] and row["ended"] is not None)
            requests = int(row["requests"]) if row["requests"] is not None else None
            _, creator = who(row)
            return Intent(int(row["intent"]), creator.at, requests, _text(row["sha256"]), creator) if over else None

        return [intent for intent in self._read(query, (origin,), make) if intent]

    def history(self, message_batch_id: str | None = None) -> list[Action]:
        """Return what was done to one batch, or to all, newest first."""
        query = (
            "SELECT id, through, what, consent, words, answer, actions.origin, actions.workspace, at, "
            "(SELECT name FROM batches WHERE batches.id = actions.id "
            "AND coalesce(actions.origin, batches.origin) IN (batches.origin, '') AND name IS NOT NULL) "
            "FROM actions WHERE ?1 IS NULL OR id = ?1 ORDER BY at DESC, number DESC"
        )
        return self._read(
            query, (message_batch_id,), lambda row: Action._make([*map(_text, row[:8]), _time(row[8]), _text(row[9])])
        )

    def _read(self, query: str, values: Sequence[object], make: Callable[[sqlite3.Row], Value]) -> list[Value]:
        effect = "its contents are not shown"
        return (
            self._use(lambda record: [make(row) for row in record.execute(query, values)], effect, create=False) or []
        )

    def _write(self, *statements: _Statement) -> list[int]:
        """Write in one transaction; returns the number of the row that each statement made, or nothing if it failed."""

        def write(record: sqlite3.Connection) -> list[int]:
            record.execute("BEGIN IMMEDIATE")
            rows = [record.execute(statement, values).lastrowid or 0 for statement, values in statements]
            record.execute("COMMIT")
            return rows

        return (self._use(write, "this is not recorded", create=True) or []) if statements else []

    def _use(self, use: Callable[[sqlite3.Connection], Value], effect: str, *, create: bool) -> Value | None:
        if self.path is None:
            return None
        self.fault = None
        try:
            with contextlib.closing(
                _opened(self.path, _PATIENCE_AFTER if self._locked else _PATIENCE, create=create)
            ) as record:
                found = use(record)
            self._locked = False
            return found
        except (sqlite3.Error, OSError, _UnusableError, ValueError, OverflowError) as error:
            if isinstance(error, FileNotFoundError) and not create:  # nothing was recorded yet
                return None
            self._locked = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            reason = getattr(error, "strerror", None) or str(error)
            path = clean(str(self.path), limit=400)
            self.fault = f"The record {path} cannot be used ({clean(reason)}), so {effect}."
            warn, self._warn = self._warn, None  # first of all: threads may fail at once
            if warn:
                warn(self.fault)
            return None


class Together(Record):
    """Collects what is recorded, to write it in one transaction. So it returns no numbers, and reads nothing of it."""

    def __init__(self, path: Path | None, write: Callable[..., list[int]]) -> None:
        super().__init__(path)
        self._statements: list[_Statement] = []
        self._write_all = write

    def write(self) -> bool:
        """Write what was collected; returns whether that succeeded."""
        return not self._statements or bool(self._write_all(*self._statements))

    def _write(self, *statements: _Statement) -> list[int]:
        self._statements += statements
        return []


def open_record(warn: Callable[[str], None] | None = None) -> Record:
    """Return the record of this machine's user, or of ``CANCEL_MESSAGE_BATCH_RECORD``; ``off`` turns it off."""
    return Record(record_path(), warn)


def _opened(path: Path, patience: float, *, create: bool) -> sqlite3.Connection:
    """Open the file at the version of this program."""
    # SQLite keeps its locks only as long as this process closes no other descriptor of the same file.
    with _creating:
        _check(path, create=create)
    record = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience, isolation_level=None)
    record.row_factory = sqlite3.Row
    try:
        if _version(record) < len(_MIGRATIONS):
            with contextlib.suppress(sqlite3.OperationalError):  # another process is just doing it
                record.execute("PRAGMA journal_mode = WAL")
            _migrate(record)
        record.execute("PRAGMA synchronous = FULL")  # an intent outlives a power cut
    except BaseException:
        record.close()
        raise
    return record


def _check(path: Path, *, create: bool) -> None:
    """Refuse what cannot be trusted; a file that is missing can be made, for nobody else to read."""
    try:
        path.lstat()
    except FileNotFoundError:
        if not create:
            raise
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    if fault := record_fault(path):
        raise _UnusableError(fault)


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
    """Return the statements that record an action and, where it is known, its batch."""
    message_batch_id, origin, workspace = map(_kept, (action.message_batch_id, action.origin, action.workspace))
    what = (_now(), action.through, action.what, action.consent, _kept(action.words), _kept(action.answer))
    statements: list[_Statement] = [
        (
            "INSERT INTO actions (id, origin, workspace, at, through, what, consent, words, answer) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (message_batch_id, origin, workspace, *what),
        )
    ]
    if origin:
        settled = _SETTLED.get(action.answer or "") if action.what == "cancel" else None
        # What was noted before the origin was known belongs to the first one that is learned.
        statements += [
            ("UPDATE OR IGNORE batches SET origin = ? WHERE id = ? AND origin = ''", (origin, message_batch_id)),
            (
                "INSERT INTO batches (id, origin, workspace, settled) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id, origin) DO UPDATE SET workspace = coalesce(excluded.workspace, workspace), "
                "settled = coalesce(excluded.settled, settled)",
                (message_batch_id, origin, workspace, settled),
            ),
        ]
    return statements


def _settling(intent: int, outcome: str, message_batch_id: str | None) -> _Statement:
    return "UPDATE intents SET outcome = ?, id = ? WHERE number = ?", (outcome, _kept(message_batch_id), intent)


_BATCH_AND_PROGRAM = (
    "batches.id, batches.origin, workspace, name, requests, created_at, settled, programs.* "
    "FROM batches LEFT JOIN programs ON programs.number = batches.program"
)


def _known(row: sqlite3.Row) -> KnownBatch:
    where = str(_text(row["id"])), _text(row["origin"]) or None, _process(row) if row["pid"] is not None else None
    requests = int(row["requests"]) if row["requests"] is not None else None
    return KnownBatch(*where, _text(row["workspace"]), _text(row["name"]), requests, row["settled"] == "ended")


def _process(row: sqlite3.Row) -> Process:
    return Process(_text(row["host"]) or "", int(row["pid"]), str(row["started"]), _text(row["program"]) or "")


def _watcher(row: sqlite3.Row) -> Process | None:
    """Return the process that was to note the end of the program, if that is another one."""
    if row["watcher_pid"] is None:
        return None
    return _process(row)._replace(pid=int(row["watcher_pid"]), started=str(row["watcher_started"]))


class _Creators:
    """Makes a creator of a row with a batch and its program; each program is looked for once.

    Without the ``path`` of the record, no program of another boot is gone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._ours_alone = path is not None and is_ours_alone(path)
        self._gone: dict[int, bool] = {}
        self._alive: dict[int, bool] = {}

    def __call__(self, row: sqlite3.Row) -> tuple[str, Creator]:
        process, number = _process(row), int(row["number"])
        if number not in self._alive:
            self._alive[number] = process.is_alive()
        ended = _time(row["ended"]) if row["ended"] is not None else None
        well = bool(row["well"]) if row["well"] is not None else None
        who = process.program, process.pid, str(_text(row["through"])), _time(row["created_at"] or row["began"])
        where = process.host, process.is_here(), self._alive[number]
        return str(_text(row["id"])), Creator(*who, *where, ended, _text(row["end"]), well)

    def is_gone(self, row: sqlite3.Row) -> bool:
        """Return whether the program is surely gone, and also who was to note its end."""
        number, process = int(row["number"]), _process(row)
        if number not in self._gone:
            watcher, noted = _watcher(row), float(row["began"]) if self._ours_alone else None
            self._gone[number] = process.is_gone(noted) and (watcher is None or watcher.is_gone(noted))
        return self._gone[number]

    def is_judged(self, row: sqlite3.Row) -> bool:
        """Return whether it can be known here that the program, or who was to note its end, is alive or gone."""
        watcher = _watcher(row)
        return _process(row).is_alive() or (watcher is not None and watcher.is_alive()) or self.is_gone(row)

    def has_failed(self, row: sqlite3.Row) -> bool:
        """Return whether the program is over and did not end well."""
        return row["well"] == 0 if row["well"] is not None else self.is_gone(row)


def _text(value: object) -> str | None:
    """Return a text as it can be shown, whoever wrote it."""
    return clean(str(value), limit=_LIMIT) if value is not None else None


def _time(value: object) -> datetime:
    return datetime.fromtimestamp(float(str(value)), UTC)


def _kept(text: str | None) -> str | None:
    """Return a text as it is kept: one line without control characters, not too long."""
    return clean(text, limit=_LIMIT) if text else None


def _now() -> float:
    return datetime.now(UTC).timestamp()
