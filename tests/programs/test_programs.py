"""Published programs that create batches, behind `run`: what becomes of their batches, however the programs end."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import KEY, PROGRAM, Run

HERE = Path(__file__).parent
PROGRAMS = os.environ.get("PROGRAMS", "")
if not PROGRAMS:
    pytest.skip("`make test-programs` installs the programs", allow_module_level=True)


@dataclass(frozen=True)
class Program:
    """Three commands that create a batch: one waits for its end, one fails before that, one ends well before that.

    ``on_terminal`` are words that let it leave Ctrl-C to the terminal. ``fault`` is what ends the latter two commands,
    where they would wait too.
    """

    waits: list[str]
    fails: list[str]
    ends: list[str]
    on_terminal: tuple[str, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True)
class Server:
    """An implementation of the API.

    ``count`` counts the requests with a method and a path that ends so. ``fail`` queues a fault. ``hold`` keeps the
    next batch from ending, and ``finish`` lets it end.
    """

    url: str
    count: Callable[[str, str], int]
    fail: Callable[[Fault], object]
    hold: Callable[[], object]
    finish: Callable[[], object]

    def cancels(self, batch: str) -> int:
        return self.count("POST", f"/batches/{batch}/cancel")

    def batches(self) -> dict[str, str]:
        """Return the status of each batch."""
        with MessageBatches(base_url=self.url, api_key=KEY) as client:
            return {batch.id: batch.processing_status for batch in client.list(limit=100)}


class Running:
    """A process, and what it prints into a file, or on a terminal of 80 columns."""

    def __init__(
        self, command: list[str], output: Path, environment: dict[str, str] | None = None, *, terminal: bool = False
    ) -> None:
        self._output = output
        output.touch()
        options: Any = {"env": {**os.environ, **(environment or {})}}
        if terminal:
            self._terminal, theirs = pty.openpty()
            termios.tcsetwinsize(theirs, (24, 80))
            self.process = subprocess.Popen(command, preexec_fn=lambda: os.login_tty(theirs), **options)  # noqa: PLW1509
            os.close(theirs)
            threading.Thread(target=self._read, daemon=True).start()
        else:
            with output.open("wb") as file:
                options |= {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file, "start_new_session": True}
                self.process = subprocess.Popen(command, **options)

    def _read(self) -> None:
        with self._output.open("wb", buffering=0) as file, suppress(OSError):  # its last program has ended
            while piece := os.read(self._terminal, 65_536):
                file.write(piece)

    @property
    def shown(self) -> str:
        return self._output.read_text(errors="replace")

    def press_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def code(self) -> int:
        return self.process.wait(120)

    def kill(self) -> None:
        """Kill it with everything in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def installed(name: str, command: str) -> str:
    return f"{PROGRAMS}/{name}/bin/{command}"


def inspect_ai() -> Program:
    """Evaluate in batches. Its command exits with 0 even if the evaluation fails; a script exits as it likes."""
    shutil.copy(HERE / "inspect_task.py", Path.cwd())
    task, fault = "inspect_task.py", Fault(match="GET */batches/*", status=401)
    command = [installed("inspect_ai", "inspect"), "eval", task, "--model", "anthropic/claude-sonnet-5-5"]
    return Program(command, [installed("inspect_ai", "python"), task], command, ("--display", "rich"), fault)


def batchwizard() -> Program:
    params = {"model": "claude-sonnet-5-5", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
    lines = [json.dumps({"custom_id": f"q-{number}", "params": params}) for number in range(3)]
    Path("requests.jsonl").write_text("\n".join(lines) + "\n")
    command, words = installed("batchwizard", "batchwizard"), ["requests.jsonl", "--provider", "anthropic"]
    submits = [command, "submit", *words]
    fails = ["sh", "-c", '"$@"; exit 1', "sh", *submits]
    return Program([command, "process", *words, "--check-interval", "1"], fails, submits)


def vercel_ai_sdk() -> Program:
    Path("node_modules").symlink_to(f"{PROGRAMS}/vercel_ai_sdk/node_modules")
    command = ["node", str(shutil.copy(HERE / "vercel_ai_sdk.mjs", Path.cwd()))]
    return Program([*command, "wait"], [*command, "1"], [*command, "0"])


def ogx() -> Program:
    """Run ogx's own client. Its server, a second implementation of the API, is what it talks to."""
    command = [installed("ogx", "python"), str(HERE / "ogx_client_program.py")]
    return Program([*command, "wait"], [*command, "1"], [*command, "0"])


@pytest.fixture
def sandbox_server() -> Iterator[Server]:
    with Sandbox(account=Account(speed=1)) as sandbox:
        yield Server(
            url=sandbox.url,
            count=lambda method, end: sum(e.method == method and e.path.endswith(end) for e in sandbox.journal),
            fail=sandbox.fail,
            hold=lambda: None,  # at this speed, no batch ends by itself
            finish=lambda: sandbox.account.advance(80_000),
        )


@pytest.fixture(scope="module")
def ogx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ogx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with Sandbox() as model:
        places = dict.fromkeys(("HOME", "OGX_CONFIG_DIR", "STORE"), str(folder)) | {"MODEL_URL": f"{model.url}/v1"}
        command = [installed("ogx", "ogx"), "run", str(HERE / "ogx.yaml"), "--port", port, "--insecure"]
        running = Running(command, folder / "log", places)
        try:
            eventually(lambda: "Uvicorn running" in running.shown, running)
            yield Server(
                url=f"http://127.0.0.1:{port}",
                count=lambda method, end: "".join(running.shown.split()).count(f'"{method}/v1/messages{end}HTTP'),
                fail=model.fail,
                hold=lambda: model.fail(Fault(match="POST */v1/messages", hang=True, times=3)),
                finish=lambda: None,  # a batch ends as soon as the model has answered
            )
        finally:
            running.kill()


@dataclass(frozen=True)
class Case:
    """A program, and the server that it talks to."""

    program: Program
    server: Server
    before: frozenset[str]

    def start(self, command: list[str], *, terminal: bool = False) -> Running:
        return Running([*PROGRAM, "run", "--", *command], Path("output"), terminal=terminal)

    def batch(self, running: Running) -> str:
        """Wait until the program knows the batch that it created; return the id."""
        (batch,) = eventually(lambda: self.server.batches().keys() - self.before, running)
        eventually(lambda: self.server.count("GET", f"/batches/{batch}"), running)
        return str(batch)

    def batch_after(self, command: list[str], code: int) -> str:
        """Run a command that ends by itself; return the id of its batch."""
        if self.program.fault:
            self.server.fail(self.program.fault)
        running = self.start(command)
        assert running.code() == code, running.shown
        (batch,) = self.server.batches().keys() - self.before
        return batch


@pytest.fixture(params=[inspect_ai, batchwizard, vercel_ai_sdk, ogx])
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    server = request.getfixturevalue("ogx_server" if request.param is ogx else "sandbox_server")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    return Case(request.param(), server, frozenset(server.batches()))


def eventually(found: Callable[[], Any], running: Running | None = None) -> Any:
    """Wait until something is found, and this process has not ended before."""
    end = time.monotonic() + 60
    while not (result := found()):
        assert time.monotonic() < end, running and running.shown
        assert running is None or running.process.poll() is None, running.shown
        time.sleep(0.05)
    return result


@pytest.mark.parametrize("end", ["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_the_batch_of_a_program_that_is_interrupted_is_canceled_once(case: Case, end: str) -> None:
    case.server.hold()
    if end == "Ctrl-C":
        running = case.start([*case.program.waits, *case.program.on_terminal], terminal=True)
        batch = case.batch(running)
        running.press_ctrl_c()
    else:
        running = case.start(case.program.waits)
        batch = case.batch(running)
        running.process.send_signal(signal.Signals[end])
    running.code()
    assert case.server.cancels(batch) == 1, running.shown
    eventually(lambda: f"Canceling: {batch}" in " ".join(running.shown.split()))


@pytest.mark.parametrize("case", [inspect_ai], indirect=True)
def test_a_program_with_a_full_screen_reads_ctrl_c_as_a_key_and_what_keeps_running_is_reported(case: Case) -> None:
    running = case.start(case.program.waits, terminal=True)
    batch = case.batch(running)
    running.press_ctrl_c()
    assert running.code() == 0
    assert not case.server.cancels(batch)
    eventually(lambda: re.search(rf"still\s+running:\s+{batch}\.", running.shown))


def test_the_batch_of_a_program_that_fails_is_canceled_once(case: Case) -> None:
    case.server.hold()
    batch = case.batch_after(case.program.fails, 1)
    assert case.server.cancels(batch) == 1


def test_the_batch_of_a_program_that_ends_well_goes_on_and_is_not_listed(case: Case, run_process: Run) -> None:
    case.server.hold()
    batch = case.batch_after(case.program.ends, 0)
    assert not case.server.cancels(batch)
    assert case.server.batches()[batch] == "in_progress"
    assert batch not in run_process("list", "--orphaned").stdout


def test_the_batch_of_a_program_that_is_killed_with_run_is_listed(case: Case, run_process: Run) -> None:
    case.server.hold()
    running = case.start(case.program.waits)
    batch = case.batch(running)
    running.kill()
    assert not case.server.cancels(batch)
    # The program may take a moment to die.
    eventually(lambda: batch in run_process("list", "--orphaned").stdout)


def test_a_program_gets_its_results_and_so_do_our_own_commands(case: Case, run_process: Run) -> None:
    running = case.start(case.program.waits)
    batch = case.batch(running)
    case.server.finish()
    assert running.code() == 0, running.shown
    assert not case.server.cancels(batch)
    waited = run_process("run", "--", *PROGRAM, "wait", batch)
    assert (waited.returncode, batch in waited.stdout) == (0, True), waited.stderr
    saved = run_process("run", "--", *PROGRAM, "results", batch, "--out", "saved")
    assert saved.returncode == 0, saved.stderr
    (results,) = Path("saved").glob("**/results.jsonl")
    assert len(results.read_text().splitlines()) == 3
