"""Agents in JavaScript that take the tools from the MCP server: each example, run in the real framework.

The model is the sandbox's scripted stand-in, over HTTP.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import TOOLS
from tests.clients.conftest import CLIENTS, NEEDS_CLIENTS
from tests.conftest import ROOT, cancels

EXAMPLES = sorted((ROOT / "examples").glob("*.mjs"))
EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


@EACH
def test_an_example_is_short_enough_to_paste(example: Path) -> None:
    code = example.read_text().split("*/", 1)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


@pytest.fixture
def running(sandbox: Sandbox) -> str:
    return sandbox.account.add(requests=5000, age=600, status="in_progress")


def converse(example: Path, where: Path, sandbox: Sandbox, request: str, typed: str = "") -> tuple[str, dict[str, Any]]:
    """Run an example to its end; what it printed, and the last request of it to the model."""
    (where / "node_modules").symlink_to(Path(CLIENTS) / "node_modules")
    done = subprocess.run(
        ["node", shutil.copy(example, where), request],
        input=typed,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    bodies = [exchange.body for exchange in sandbox.journal if exchange.path.endswith("/v1/messages")]
    return done.stdout, bodies[-1]


@NEEDS_CLIENTS
@EACH
def test_a_named_batch_is_canceled_once_after_a_yes(
    example: Path, tmp_path: Path, sandbox: Sandbox, running: str
) -> None:
    printed, request = converse(example, tmp_path, sandbox, f"Cancel the message batch {running}.", "y\n")
    assert cancels(sandbox) == [running]
    assert "accepted but not immediate" in printed
    offered = {tool["name"].removeprefix("batches_"): tool["description"] for tool in request["tools"]}
    assert offered == {tool.name: tool.description for tool in TOOLS}


@NEEDS_CLIENTS
@EACH
def test_without_a_yes_nothing_is_sent(example: Path, tmp_path: Path, sandbox: Sandbox, running: str) -> None:
    converse(example, tmp_path, sandbox, f"Cancel the message batch {running}.", "n\n")
    assert cancels(sandbox) == []


@NEEDS_CLIENTS
@EACH
def test_of_two_cancels_at_once_each_is_asked_for(
    example: Path, tmp_path: Path, sandbox: Sandbox, running: str
) -> None:
    other = sandbox.account.add(requests=500, age=60, status="in_progress")
    converse(example, tmp_path, sandbox, f"Cancel {running} and {other}.", "n\ny\n")
    assert cancels(sandbox) == [other]


@NEEDS_CLIENTS
@EACH
def test_the_model_gets_a_text_about_an_unknown_id(example: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    printed, _ = converse(example, tmp_path, sandbox, "Cancel the message batch msgbatch_unknown.", "y\n")
    assert "There is no message batch msgbatch_unknown" in printed


@NEEDS_CLIENTS
@EACH
def test_listing_runs_without_asking(example: Path, tmp_path: Path, sandbox: Sandbox, running: str) -> None:
    printed, _ = converse(example, tmp_path, sandbox, "what is running?")
    assert running in printed
