"""The clients that `make test-clients` installs, each run in a home of its own."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cancel_message_batch import __version__
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID
from tests.conftest import ROOT

CLIENTS = os.environ.get("CLIENTS", "")
ASKED = f"Cancel the message batch with ID {DOCUMENTED_ID}."

NEEDS_CLIENTS = pytest.mark.skipif(not CLIENTS, reason="`make test-clients` installs the clients, and needs npm")

Client = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def certificates() -> None:
    """Keep this machine's certificates: the clients install over HTTPS."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Client:
    """Run a client in a home and a directory of its own."""
    commands = [f"{CLIENTS}/node_modules/.bin", str(Path(sys.executable).parent)]
    monkeypatch.setenv("PATH", os.pathsep.join([*commands, os.environ["PATH"]]))
    monkeypatch.setenv("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
    monkeypatch.setenv("MCP_CONNECTION_NONBLOCKING", "0")  # the first request waits for the servers,
    monkeypatch.setenv("MCP_CONNECT_TIMEOUT_MS", "120000")  # longer than it does by itself
    monkeypatch.setenv("MCP_TIMEOUT", "120000")  # and the first start of the plugin's installs the packages

    def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path
        )

    return run


@pytest.fixture
def skill(tmp_path: Path) -> Path:
    """What the Agent Skill's zip holds."""
    with zipfile.ZipFile(ROOT / f"dist/cancel-message-batch-{__version__}-skill.zip") as packed:
        packed.extractall(tmp_path)
    return tmp_path / "cancel-message-batch"
