"""The record: what is kept, by how many processes at once, and what a file that cannot be used costs."""

import functools
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch import InvalidInputError, MessageBatch
from cancel_message_batch.api.models import with_context
from cancel_message_batch.record import names, store
from cancel_message_batch.record.names import record_path
from cancel_message_batch.record.processes import Process
from cancel_message_batch.record.store import Action, KnownBatch, Record, open_record
from tests.conftest import described

HERE = "https://api.example:443"


@pytest.fixture
def path() -> Path:
    path = record_path()
    assert path
    return path


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def record(warnings: list[str]) -> Record:
    return open_record(warnings.append)


def names_of(*ids: str, origin: str | None = None) -> dict[str, str]:
    """Read names as a listing does, without the record's own code."""
    batches = [with_context(MessageBatch.model_validate(described(name)), origin=origin) for name in ids]
    return {batch.id: batch.context.name for batch in names.known_here(batches) if batch.context.name}


def create(
    record: Record, which: str, process: Process | None = None, program: int | None = None, **others: Any
) -> None:
    """Note the creation of a batch, by this process if no other is given."""
    batch = KnownBatch(f"msgbatch_{which}", HERE, process or Process.current("test"))
    record.add_creation(batch._replace(**others), "guard", program=program)


def test_the_record_returns_the_newest_first(record: Record, warnings: list[str]) -> None:
    create(record, "A", name="nightly eval", requests=3)
    record.set_name("msgbatch_B", "the other")
    record.add_action(
        Action("msgbatch_A", "ask", "cancel", "yes", "stop the nightly eval", "canceling", HERE, "wrkspc_1"),
        Action("msgbatch_B", "mcp", "cancel", answer="canceling"),
    )
    told = [(entry.message_batch_id, entry.what, entry.name) for entry in record.history()]
    assert told == [
        ("msgbatch_B", "cancel", "the other"),
        ("msgbatch_A", "cancel", "nightly eval"),
        ("msgbatch_B", "name", "the other"),
        ("msgbatch_A", "create", "nightly eval"),
    ]
    cancel, creation = record.history("msgbatch_A")
    assert (cancel.through, cancel.consent, cancel.words, cancel.answer) == (
        "ask",
        "yes",
        "stop the nightly eval",
        "canceling",
    )
    assert cancel.at >= creation.at
    known = record.known("msgbatch_A")
    assert known
    assert (known.origin, known.workspace, known.requests) == (HERE, "wrkspc_1", 3)
    assert record.known("msgbatch_C") is None
    assert warnings == []


def test_a_file_of_version_1_can_be_used_and_calls_nothing_left_behind(
    record: Record, path: Path, warnings: list[str]
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(Path(__file__).with_name("version_1.sql").read_text())
    path.chmod(0o600)
    assert names_of("msgbatch_A", "msgbatch_D") == {"msgbatch_A": "nightly eval", "msgbatch_D": "only named"}
    before = record.history()  # brings it to this version
    assert [(entry.what, entry.name, entry.words) for entry in before[:2]] == [
        ("cancel", None, "stop it"),
        ("name", "only named", "only named"),
    ]
    assert len(before) == 5
    process = Process("a-host", 4711, "machine boot pid 100", "train.py")
    assert record.known("msgbatch_A") == KnownBatch("msgbatch_A", HERE, process, "wrkspc_1", "nightly eval", 3)
    assert record.known("msgbatch_B") == KnownBatch("msgbatch_B", HERE, process, "wrkspc_1", None, 3, ended=True)
    creators = record.creators(HERE, ["msgbatch_A", "msgbatch_C", "msgbatch_D", "msgbatch_E"])
    assert {name: (who.program, who.through, who.alive) for name, who in creators.items()} == {
        "msgbatch_A": ("train.py", "guard", False),
        "msgbatch_C": ("submit.sh", "run", False),
    }
    with closing(sqlite3.connect(path)) as file, file:  # as if its programs had been killed here
        (boot,) = (Process.current().started.split(" ")[1],)
        started = Process.current().started.replace(boot, "another-boot")
        file.execute("UPDATE programs SET host = ?, started = ?", (Process.current().host, started))
    assert record.left_behind(HERE) == {}
    create(record, "A")
    assert names_of("msgbatch_A", "msgbatch_D") == {"msgbatch_A": "nightly eval", "msgbatch_D": "only named"}
    assert warnings == []


def test_a_cancel_that_found_no_batch_does_not_move_what_is_known(record: Record) -> None:
    record.add_action(Action("msgbatch_A", "mcp", "cancel", origin=HERE, workspace="wrkspc_1"))
    record.add_action(Action("msgbatch_A", "mcp", "cancel", answer="404"))
    known = record.known("msgbatch_A")
    assert known
    assert (known.origin, known.workspace) == (HERE, "wrkspc_1")


def test_a_name_is_found_by_id_until_it_is_taken_away(record: Record) -> None:
    record.set_name("msgbatch_A", "nightly eval")
    create(record, "B", name="nightly translation")
    create(record, "C")
    ids = [f"msgbatch_{which}" for which in "ABCD"]
    expected = {"msgbatch_A": "nightly eval", "msgbatch_B": "nightly translation"}
    assert names_of(*ids) == expected
    record.set_name("msgbatch_A", "")
    assert names_of(*ids) == {"msgbatch_B": "nightly translation"}


def test_a_name_stays_when_the_batch_is_seen_again_without_one(record: Record) -> None:
    record.set_name("msgbatch_A", "mine")
    create(record, "A")
    assert names_of("msgbatch_A") == {"msgbatch_A": "mine"}


def test_no_prompt_key_or_control_character_is_kept(record: Record, path: Path) -> None:
    record.add_action(
        Action("msgbatch_A", "ask", "cancel", words="stop\x1b[2J it\n" + "x" * 9_000 + " sk-ant-api03-abcdefgh")
    )
    (entry,) = record.history()
    assert entry.words
    assert entry.words.startswith("stop [2J it x")
    assert len(entry.words) <= 500
    record.add_action(Action("msgbatch_A", "ask", "cancel", words="with sk-ant-api03-abcdefgh"))
    assert b"api03" not in path.read_bytes()


def test_only_the_user_can_read_it(record: Record, path: Path) -> None:
    record.set_name("msgbatch_A", "mine")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_noted_is_on_the_disk_when_the_program_goes_on(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []

    class Watched(sqlite3.Connection):
        def close(self) -> None:
            levels.append(self.execute("PRAGMA synchronous").fetchone()[0])
            super().close()

    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Watched))
    for _ in range(2):  # the first one makes the file
        create(record, "A")
    assert levels
    assert min(levels) >= 2  # FULL: with less, a write-ahead log may lose to a power cut what was committed


def test_looking_creates_no_file(record: Record, path: Path) -> None:
    assert not [*record.history(), *record.left_behind(HERE), *names_of("msgbatch_A")]
    record.note_ended(HERE, [])
    assert record.fault is None
    assert not path.exists()


def test_turned_off_it_keeps_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> None:
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", "off")
    record = open_record(warnings.append)
    record.set_name("msgbatch_A", "mine")
    assert record.history() == []
    assert record.fault
    assert "turned off" in record.fault
    assert warnings == []


def a_directory(path: Path) -> None:
    path.mkdir(parents=True)


def a_text(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is not a database, it is a text of some length\n" * 40)


def a_link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent / "elsewhere")


def below_a_file(path: Path) -> None:
    path.parent.write_text("")


def newer(path: Path) -> None:
    Record(path, print).set_name("msgbatch_A", "mine")
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 99")


def of_another_program(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE notes (text TEXT)")


BROKEN: dict[Callable[[Path], None], str] = {
    a_directory: "it is a directory",
    a_text: "file is not a database",
    a_link: "it is a symbolic link",
    below_a_file: "Not a directory",
    newer: "a newer version of this program has written it",
    of_another_program: "it is another program's database",
}


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_a_file_that_cannot_be_used_costs_one_line(
    record: Record, path: Path, warnings: list[str], make: Callable[[Path], None]
) -> None:
    make(path)
    before = path.lstat().st_size if path.parent.is_dir() else 0
    for _ in range(2):
        record.set_name("msgbatch_A", "mine")
        create(record, "A")
        record.add_action(Action("msgbatch_A", "mcp", "cancel"))
        record.note_ended(HERE, ["msgbatch_A"])
        assert not [*record.history(), *record.left_behind(HERE)]
        assert record.known("msgbatch_A") is None
    (warning,) = warnings
    assert BROKEN[make] in warning
    assert "\n" not in warning
    assert isinstance(names_of("msgbatch_A"), dict)
    assert not path.parent.is_dir() or path.lstat().st_size == before
    assert not (path.parent / "elsewhere").exists()


def test_a_file_that_another_process_keeps_locked_costs_one_line(
    record: Record, path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cancel_message_batch.record.store._PATIENCE", 0.05)
    record.set_name("msgbatch_A", "mine")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        record.set_name("msgbatch_A", "another")
        assert names_of("msgbatch_A") == {"msgbatch_A": "mine"}
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert names_of("msgbatch_A") == {}
    (warning,) = warnings
    assert "locked" in warning
    record.set_name("msgbatch_A", "another")
    assert record.fault is None
    assert names_of("msgbatch_A") == {"msgbatch_A": "another"}


def test_a_record_that_stays_locked_is_waited_for_once(
    record: Record, path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record.set_name("msgbatch_A", "mine")
    monkeypatch.setattr("cancel_message_batch.record.store._PATIENCE", 0.2)
    connect: Any = sqlite3.connect
    patience: list[float] = []

    def connecting(*given: Any, timeout: float, **options: Any) -> Any:
        patience.append(timeout)
        return connect(*given, timeout=timeout, **options)

    with closing(sqlite3.connect(path)) as other:
        monkeypatch.setattr(sqlite3, "connect", connecting)
        other.execute("BEGIN IMMEDIATE")
        for name in ("one", "two", "three"):
            record.set_name("msgbatch_A", name)
    for name in ("four", "five"):
        record.set_name("msgbatch_A", name)
    assert patience == [0.2, 0.05, 0.05, 0.05, 0.2]
    assert names_of("msgbatch_A") == {"msgbatch_A": "five"}
    assert len(warnings) == 1


def test_threads_that_meet_a_broken_record_at_once_are_warned_once(path: Path) -> None:
    path.mkdir(parents=True)
    warnings: list[str] = []

    def warn(text: str) -> None:
        time.sleep(0.2)  # so that the others come in between
        warnings.append(text)

    record = open_record(warn)
    threads = [threading.Thread(target=record.note_ended, args=(HERE, ["msgbatch_A"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(warnings) == 1


def test_what_is_recorded_together_is_one_transaction(record: Record, path: Path, warnings: list[str]) -> None:
    number = record.begin_program("run", Process.current())
    several = record.add_intents(number, (HERE, 3, None), (HERE, 4, None))
    assert len({*several}) == 2
    together = record.together()
    for which, intent in zip("AB", several, strict=True):
        together.add_creation(KnownBatch(f"msgbatch_{which}", HERE), "run", program=number, intent=intent)
    together.keep(HERE, ["msgbatch_A"])
    assert record.known("msgbatch_A") is None
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TRIGGER fails BEFORE UPDATE OF settled ON batches BEGIN SELECT RAISE(ABORT, 'no'); END")
        assert not together.write()
        assert (record.known("msgbatch_A"), record.add_intents(None, (HERE, 3, None))) == (None, [])
        other.execute("DROP TRIGGER fails")
    assert together.write()
    assert record.together().write()
    record.end_program(number, "exit code 1", well=False)
    assert list(record.left_behind(HERE)) == ["msgbatch_B"]
    assert record.open_intents(HERE) == []
    assert len(warnings) == 1


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_costs_one_line_and_loses_nothing_that_was_recorded(
    record: Record, path: Path, there: bool
) -> None:
    if there:
        record.set_name("msgbatch_A", "mine")
    program = (
        "from cancel_message_batch.record.store import *\n"
        "record = open_record(print)\n"
        "record.set_name('msgbatch_B', 'x' * 90)\n"
        "record.set_name('msgbatch_B', 'x' * 90)\n"
    )

    resource = pytest.importorskip("resource")

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    # PYTHONDONTWRITEBYTECODE: there is no room for that either.
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=False, preexec_fn=full
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "this is not recorded" in done.stdout
    assert names_of("msgbatch_A", "msgbatch_B") == ({"msgbatch_A": "mine"} if there else {})
    record.set_name("msgbatch_B", "room again")
    assert names_of("msgbatch_B") == {"msgbatch_B": "room again"}


def test_a_file_that_may_not_be_read_costs_one_line(
    record: Record, path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record.set_name("msgbatch_A", "mine")

    def refused(*_: object, **__: object) -> None:  # tests that run as root may read everything
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refused)
    assert names_of("msgbatch_A") == {}
    record.check()
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "name", ["x" * 10_000, "\x00\x1b\u202e", "msgbatch_B", "not msgbatch_B"], ids=["long", "control", "id", "holds id"]
)
def test_a_text_that_cannot_be_a_name_is_refused_and_changes_nothing(record: Record, name: str) -> None:
    record.set_name("msgbatch_A", "mine")
    with pytest.raises(InvalidInputError):
        record.set_name("msgbatch_A", name)
    assert names_of("msgbatch_A") == {"msgbatch_A": "mine"}


def test_a_name_is_one_line_of_text() -> None:
    record = open_record(print)
    record.set_name("msgbatch_A", " cancel\neverything\x1b[2J \u202e now ")
    assert names_of("msgbatch_A") == {"msgbatch_A": "cancel everything [2J now"}


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    program = (
        "import sys; from cancel_message_batch.record.store import *\n"
        "record = open_record(print)\n"
        "for n in range(20): record.set_name(f'msgbatch_{sys.argv[1]}_{n}', f'name {n}')\n"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", program, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    assert [process.communicate(timeout=60)[0] for process in several] == [""] * 4
    record = open_record(print)
    history = record.history()
    assert len(names_of(*(entry.message_batch_id for entry in history))) == len(history) == 80


def test_threads_of_one_process_that_write_at_once_lose_nothing(record: Record) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: create(record, f"{n}", name="mine"), range(40)))
    assert len(names_of(*(f"msgbatch_{n}" for n in range(40)))) == 40


def test_a_program_that_dies_while_it_writes_leaves_what_was_there(record: Record) -> None:
    record.set_name("msgbatch_A", "mine")
    program = (
        "import os; from cancel_message_batch.record.store import *; from cancel_message_batch.record import store\n"
        "class Dies:\n"
        "    def __conform__(self, protocol): os._exit(9)\n"
        "statements = store._statements\n"
        "store._statements = lambda action: [*statements(action), ('SELECT ?', (Dies(),))]\n"
        "open_record(print).set_name('msgbatch_A', 'half')\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert names_of("msgbatch_A") == {"msgbatch_A": "mine"}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def test_left_behind_is_what_a_killed_program_created_here_and_nothing_else(
    record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    theirs = Process.of(sleeper.pid, "train.py")
    elsewhere = Process("another-host", theirs.pid, theirs.started, "train.py")
    for name, origin, process in (
        ("left", HERE, theirs),
        ("ended", HERE, theirs),
        ("canceled", HERE, theirs),
        ("kept", HERE, theirs),
        ("at_another_api", "https://other:443", theirs),
        ("of_another_host", HERE, elsewhere),
        ("mine", HERE, Process.current()),
    ):
        create(record, name, process, origin=origin)
    record.set_name("msgbatch_named_only", "x")
    assert record.left_behind(HERE) == {}
    sleeper.kill()
    sleeper.wait()
    record.note_ended(HERE, ["msgbatch_ended"])
    record.keep(HERE, ["msgbatch_kept"])
    record.add_action(
        Action("msgbatch_canceled", "ask", "cancel", answer="canceling", origin=HERE),
        Action("msgbatch_left", "ask", "cancel", answer="the connection broke", origin=HERE),
        Action("msgbatch_left", "ask", "cancel", answer="canceling", origin="https://other:443"),
    )
    ((name, who),) = record.left_behind(HERE).items()
    assert name == "msgbatch_left"
    assert (who.program, who.pid, who.through, who.here, who.alive) == ("train.py", sleeper.pid, "guard", True, False)
    assert (who.ended, who.end, who.well) == (None, None, None)


def test_a_creation_that_is_noted_late_or_again_undoes_nothing_that_is_known_about_the_batch(
    record: Record, killed: Process
) -> None:
    record.keep(HERE, ["msgbatch_kept_early"])
    record.add_action(Action("msgbatch_canceled", "run", "cancel", answer="canceling", origin=HERE))
    create(record, "kept_late", killed)
    record.keep(HERE, ["msgbatch_kept_late"])
    for which in ("kept_early", "kept_late", "canceled", "left"):
        create(record, which, killed)
    assert list(record.left_behind(HERE)) == ["msgbatch_left"]


def test_how_a_program_ended_decides_what_it_left_behind(record: Record, killed: Process) -> None:
    for which, well in (("well", True), ("failed", False), ("unknown", None)):
        number = record.begin_program("run", killed)
        create(record, which, program=number)
        create(record, f"{which}_canceled", program=number)
        record.add_action(
            Action(f"msgbatch_{which}_canceled", "run", "cancel", answer="already canceling", origin=HERE)
        )
        if well is not None:
            record.end_program(number, "exit code 0" if well else "exit code 1", well=well)
    left = record.left_behind(HERE)
    assert {name: who.end for name, who in left.items()} == {"msgbatch_unknown": None, "msgbatch_failed": "exit code 1"}
    assert left["msgbatch_failed"].ended


def test_a_block_that_failed_left_its_batches_behind_although_its_process_lives_on(record: Record) -> None:
    number = record.begin_program("guard", Process.current("serve.py"))
    create(record, "A", program=number)
    assert record.left_behind(HERE) == {}
    record.end_program(number, "ValueError", well=False)
    assert record.left_behind(HERE)["msgbatch_A"].alive


def test_a_command_whose_end_may_still_be_noted_left_nothing_behind(
    record: Record, killed: Process, sleeper: subprocess.Popen[bytes]
) -> None:
    """After the end of the command, ``run`` takes a moment to note it."""
    number = record.begin_program("run", killed, watcher=Process.of(sleeper.pid, "run"))
    create(record, "A", program=number)
    record.add_intent(number, HERE, 3)
    assert (record.left_behind(HERE), record.open_intents(HERE)) == ({}, [])
    sleeper.kill()
    sleeper.wait()
    assert list(record.left_behind(HERE)) == ["msgbatch_A"]
    assert len(record.open_intents(HERE)) == 1


def test_nothing_is_gone_on_another_machine_with_the_same_home(
    record: Record, killed: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(record, "A", killed)
    record.add_intent(record.begin_program("guard", killed), HERE, 3)
    assert len(record.left_behind(HERE)) == len(record.open_intents(HERE)) == 1
    monkeypatch.setattr("platform.node", lambda: "another-host")
    assert (record.left_behind(HERE), record.open_intents(HERE)) == ({}, [])
    who = record.creators(HERE, ["msgbatch_A"])["msgbatch_A"]
    assert (who.here, who.alive) == (False, False)


@pytest.mark.skipif(sys.platform != "linux", reason="boots are told apart on Linux")
@pytest.mark.parametrize("certain", ["both", "the file is ours", "it was before this boot", "neither"])
def test_what_another_boot_created_is_left_behind_only_if_that_was_this_machine(
    record: Record, path: Path, killed: Process, monkeypatch: pytest.MonkeyPatch, certain: str
) -> None:
    machine, _, *rest = killed.started.split(" ")
    create(record, "A", killed._replace(started=" ".join([machine, "another-boot", *rest])))
    if certain in {"both", "it was before this boot"}:
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE programs SET began = 1")
    monkeypatch.setattr(store, "is_ours_alone", lambda _: certain in {"both", "the file is ours"})
    assert list(record.left_behind(HERE)) == (["msgbatch_A"] if certain == "both" else [])
    assert record.not_judged(HERE) == (0, 0 if certain == "both" else 1)


@pytest.mark.parametrize("hours", [-26, -1, 1, 26, 10_000])
def test_a_clock_that_jumps_neither_makes_a_program_gone_nor_hides_what_it_left_behind(
    record: Record, path: Path, killed: Process, hours: int
) -> None:
    create(record, "left", killed)
    create(record, "mine")
    record.add_intent(record.begin_program("guard", Process.current()), HERE, 3)
    record.add_intent(record.begin_program("guard", killed), HERE, 4)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE batches SET created_at = created_at + ? * 3600", (hours,))
        file.execute("UPDATE programs SET began = began + ? * 3600", (hours,))
        file.execute("UPDATE intents SET at = at + ? * 3600", (hours,))
    assert list(record.left_behind(HERE)) == ["msgbatch_left"]
    assert [intent.requests for intent in record.open_intents(HERE)] == [4]


def test_a_create_that_has_no_response_stays_open_once_its_program_is_over(record: Record, killed: Process) -> None:
    killed_number, alive = record.begin_program("run", killed), record.begin_program("guard", Process.current())
    intents = {}
    for which, outcome in (("created", "created"), ("refused", "refused"), ("lost", "lost"), ("open", None)):
        for program in (killed_number, alive):
            intents[which, program] = record.add_intent(program, HERE, 3, sha256="abc")
            if outcome == "created":
                batch = KnownBatch(f"msgbatch_{program}", HERE)
                record.add_creation(batch, "run", program=program, intent=intents[which, program])
            elif outcome:
                record.settle_intent(intents[which, program], outcome)
    record.add_intent(killed_number, "https://other:443", 3)
    found = record.open_intents(HERE)
    assert [intent.number for intent in found] == [intents["open", killed_number], intents["lost", killed_number]]
    assert (found[0].requests, found[0].sha256, found[0].creator.program) == (3, "abc", "train.py")
    record.end_program(alive, "", well=True)  # a create of its is still under way in another thread
    assert intents["lost", alive] in {intent.number for intent in record.open_intents(HERE)}
    assert intents["open", alive] not in {intent.number for intent in record.open_intents(HERE)}
    record.settle_intent(intents["open", killed_number], "expired")
    assert intents["open", killed_number] not in {intent.number for intent in record.open_intents(HERE)}


def test_creators_and_names_belong_to_an_id_at_an_origin(record: Record) -> None:
    other = "https://other:443"
    number = record.begin_program("run", Process.current("train.py"))
    create(record, "A", program=number, name="nightly eval")
    create(record, "B", origin=other)
    record.set_name("msgbatch_A", "another one", other)
    record.set_name("msgbatch_C", "named before it was seen")
    ids = ["msgbatch_A", "msgbatch_B", "msgbatch_C"]
    who = record.creators(HERE, ids)
    assert set(who) == {"msgbatch_A"}
    assert (who["msgbatch_A"].program, who["msgbatch_A"].through, who["msgbatch_A"].alive) == ("train.py", "run", True)
    assert set(record.creators(other, ids)) == {"msgbatch_B"}
    assert names_of(*ids, origin=HERE) == {"msgbatch_A": "nightly eval", "msgbatch_C": "named before it was seen"}
    assert names_of(*ids, origin=other)["msgbatch_A"] == "another one"
    assert record.mine(HERE) == {"msgbatch_A", "msgbatch_C"}
    assert record.mine(other) == {"msgbatch_A", "msgbatch_B", "msgbatch_C"}


def test_what_this_machine_only_canceled_is_not_its_own(record: Record) -> None:
    record.add_action(Action("msgbatch_A", "ask", "cancel", answer="canceling", origin=HERE))
    assert (record.creators(HERE, ["msgbatch_A"]), record.mine(HERE)) == ({}, set())


def test_many_creators_are_found_at_once(record: Record) -> None:
    ids = [f"msgbatch_{number}" for number in range(1_100)]
    create(record, "1")
    create(record, "1099")
    assert set(record.creators(HERE, ids)) == {"msgbatch_1", "msgbatch_1099"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("others", ["group", "everybody", "owner", "journal"])
def test_a_record_that_others_may_write_is_refused(
    record: Record, path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    create(record, "A", name="mine")
    if others == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    elif others == "journal":
        Path(f"{path}-wal").touch()
        Path(f"{path}-wal").chmod(0o666)
    else:
        path.chmod(0o660 if others == "group" else 0o602)
    assert record.history() == []
    record.set_name("msgbatch_A", "another")
    assert record.fault
    assert ("belongs to another user" if others == "owner" else "others may write to it") in warnings[0]
    assert names_of("msgbatch_A") == {}


def test_what_another_program_wrote_into_it_is_shown_as_harmless_text(record: Record, path: Path) -> None:
    create(record, "A", record_process := Process.current("train.py"))
    record.end_program(1, "exit code 1", well=False)
    record.add_action(Action("msgbatch_A", "ask", "cancel"))
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE programs SET program = ?, end = ?", ("\x1b[2Jtrain\n.py", "exit\u202e code"))
        file.execute("UPDATE actions SET words = ?", ("y\x1b[31mes",))
    who = record.left_behind(HERE)["msgbatch_A"]
    assert (who.program, who.end, who.pid) == ("[2Jtrain .py", "exit code", record_process.pid)
    assert record.history()[0].words == "y [31mes"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE programs SET pid = 'all'")
    assert record.left_behind(HERE) == {}
    assert record.fault
