"""The plugin for llm, as its command line loads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import TOOLS
from tests.conftest import cancels

pytest.importorskip("llm", reason="llm is not installed; `make test-frameworks` installs it")


def llm(*arguments: str) -> str:
    program = [str(Path(sys.executable).with_name("llm")), *arguments]
    done = subprocess.run(
        program, input="", capture_output=True, text=True, timeout=180, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_llm_lists_the_three_tools_by_their_names() -> None:
    listed = llm("tools", "list")
    for tool in TOOLS:
        assert f"\n{tool.name}(" in f"\n{listed}"
        assert tool.description in " ".join(listed.split())


@pytest.mark.parametrize("switch", ["--td", "--ta"], ids=["nobody asked", "asked, and nobody there"])
def test_the_command_line_cancels_unless_an_approval_is_wanted_and_not_given(sandbox: Sandbox, switch: str) -> None:
    batch = sandbox.account.add(requests=5000, age=600, status="in_progress")
    ours = [argument for tool in TOOLS for argument in ("-T", tool.name)]
    llm("-m", "claude-sonnet-4.6", switch, *ours, f"Cancel the message batch {batch}.")
    assert cancels(sandbox) == ([batch] if switch == "--td" else [])
