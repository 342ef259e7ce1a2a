"""A sandbox for each test, and an environment that leads to it and nowhere else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.cli.main import main
from cancel_message_batch.record.processes import Process
from cancel_message_batch.sandbox import Account, Sandbox

ROOT = Path(__file__).parent.parent
KEY = os.environ.get("TEST_KEY", "test-key")
PROGRAM = [sys.executable, "-m", "cancel_message_batch"]

# Where the tests are run in the background it is ignored, and so it would be in every process they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credential, profile or proxy of this machine reaches a test, and no test its record of batches."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "CLAUDE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", str(tmp_path / "state" / "record.sqlite3"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    if sys.platform != "win32":
        live_in(monkeypatch, "UTC")


def live_in(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Set the time zone. Windows takes it from its settings alone."""
    if sys.platform == "win32":
        pytest.skip("the time zone cannot be set")
    monkeypatch.setenv("TZ", zone)
    time.tzset()


@pytest.fixture(autouse=True)
def certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide this machine's certificates: the sandbox needs none, and each HTTP client would read them for 50 ms."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Nothing leaves a handler of a signal behind; the next test would not know whose it is."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    left = {number for number, handler in before.items() if signal.getsignal(number) != handler}
    for number in left:
        signal.signal(number, before[number])
    assert left == set()


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something that another thread or process does has happened."""
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds()


def make_certificate(folder: Path) -> Path:
    """Make a certificate for this machine as docs/sandbox.md says; return a PEM file with it and its key."""
    page = (Path(__file__).parents[1] / "docs/sandbox.md").read_text(encoding="utf-8")
    lines = page.partition("```sh\nopenssl")[2].partition("```")[0]
    subprocess.run(["sh", "-ec", f"openssl{lines}"], cwd=folder, capture_output=True, check=True)
    return folder / "sandbox.pem"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """An example account, and an environment as a user of it would set."""
    with an_example(monkeypatch, speed=600.0) as running:
        yield running


@contextmanager
def an_example(monkeypatch: pytest.MonkeyPatch, *, speed: float) -> Iterator[Sandbox]:
    """Run a sandbox whose clock goes so many times as fast; at speed 1 no batch ends while a process starts."""
    with Sandbox(account=Account.example(speed=speed)) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        yield running


@pytest.fixture
def batches(sandbox: Sandbox) -> Iterator[MessageBatches]:
    with MessageBatches(base_url=sandbox.url, api_key=KEY) as client:
        yield client


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line as a script would, without a terminal, but in this process: it saves the imports."""

    def command(*arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        with ExitStack() as files, monkeypatch.context() as patch:
            streams = {}
            for name in ("stdin", "stdout", "stderr"):
                # Real files, with descriptors of their own, which the command line may reconfigure or replace.
                streams[name] = files.enter_context(TemporaryFile("w+", encoding="utf-8"))
                patch.setattr(sys, name, streams[name])
            streams["stdin"].write(stdin)
            streams["stdin"].seek(0)
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main(arguments)
            streams["stdout"].seek(0)
            streams["stderr"].seek(0)
            return subprocess.CompletedProcess(arguments, code, streams["stdout"].read(), streams["stderr"].read())

    return command


@pytest.fixture
def run_process() -> Run:
    """Run the command line in a process of its own, for what only a real process shows."""

    def command(*arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **environment},
        )

    return command


def cancels(sandbox: Sandbox) -> list[str]:
    """The ids of the batches that the sandbox was asked to cancel, in order."""
    return [
        exchange.path.split("/")[-2]
        for exchange in sandbox.journal
        if exchange.method == "POST" and exchange.path.endswith("/cancel")
    ]


def running(sandbox: Sandbox, count: int, *, age: float = 600) -> list[str]:
    """Add batches in progress to the account; returns their ids, newest first."""
    return [sandbox.account.add(requests=5_000, age=age + n, status="in_progress") for n in range(count)]


def described(name: str, status: str = "in_progress", **others: Any) -> dict[str, Any]:
    """Describe a batch as the API might, one that is not in the account."""
    now = datetime.now(UTC)
    times = {"created_at": now.isoformat(), "expires_at": (now + timedelta(days=1)).isoformat()}
    return {"id": name, "processing_status": status, "request_counts": {"processing": 3}, **times, **others}


@pytest.fixture
def killed() -> Process:
    """A process of this machine that was killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = Process.of(process.pid, "train.py")
        process.kill()
    return known
