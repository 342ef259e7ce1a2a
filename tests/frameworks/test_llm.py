"""The plugin for llm, as its command line loads it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import TOOLS
from tests.conftest import cancels

pytest.importorskip("llm", reason="llm is not installed; `make test-frameworks` installs it")


def llm(*arguments: str, typed: str = "") -> str:
    """Run the command line, for a person who types this on a terminal."""
    terminal, stdin = pty.openpty()
    os.write(terminal, f"{typed}\n".encode())
    program = [str(Path(sys.executable).with_name("llm")), *arguments]
    done = subprocess.run(
        program, stdin=stdin, capture_output=True, text=True, timeout=180, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_llm_lists_the_three_tools_by_their_names() -> None:
    listed = llm("tools", "list")
    for tool in TOOLS:
        assert f"\n{tool.name}(" in f"\n{listed}"
        assert tool.description in " ".join(listed.split())


@pytest.mark.parametrize("typed", ["y", "n"])
def test_the_command_line_cancels_what_the_person_approves(sandbox: Sandbox, typed: str) -> None:
    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    ours = [argument for tool in TOOLS for argument in ("-T", tool.name)]
    llm("-m", "claude-sonnet-4.6", "--ta", *ours, f"Cancel the message batch {batch}.", typed=typed)
    assert cancels(sandbox) == ([batch] if typed == "y" else [])
