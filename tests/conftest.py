"""A sandbox for each test, and an environment that leads to it and nowhere else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.sandbox import Account, Sandbox

ROOT = Path(__file__).parent.parent
KEY = "test-key"

# Where the tests are run in the background it is ignored, and so it would be in every process they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credential, profile or proxy of this machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "CLAUDE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """An example account, and an environment as a user of it would set."""
    with Sandbox(account=Account.example(speed=600.0)) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        yield running


@pytest.fixture
def batches(sandbox: Sandbox) -> Iterator[MessageBatches]:
    with MessageBatches(base_url=sandbox.url, api_key=KEY) as client:
        yield client


@pytest.fixture
def run() -> Run:
    """Run the command line in a process of its own, as a script would: without a terminal."""

    def command(*arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cancel_message_batch", *arguments],
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
