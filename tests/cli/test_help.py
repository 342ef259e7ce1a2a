"""`--help` and `--version`."""

import os
import re
import subprocess
import sys

import pytest

from cancel_message_batch.cli.registry import load
from tests.cli.conftest import NAMES
from tests.conftest import ROOT, Run


@pytest.mark.parametrize("command", ["", *NAMES])
def test_every_command_has_help_with_examples(run: Run, command: str) -> None:
    done = run(*([command] if command else []), "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("command", NAMES)
def test_no_word_of_the_help_is_broken_on_a_narrow_terminal_and_examples_can_be_copied(run: Run, command: str) -> None:
    narrow = run(command, "--help", COLUMNS="40").stdout
    assert max(map(len, narrow.splitlines())) <= 40
    assert set(narrow.split()) - {"\\", "#", "[options]"} <= set(run(command, "--help", COLUMNS="500").stdout.split())
    copied = " ".join(narrow.replace("\\\n", "").split())
    for example in load(command).examples:
        assert example.partition("  # ")[0].strip() in copied


def test_help_is_a_command_too_and_lists_only_the_exit_codes_of_the_command(run: Run) -> None:
    assert run("help").stdout == run("--help").stdout
    assert run("help", "results").stdout == run("results", "--help").stdout
    assert re.findall(r"^  (\d+) ", run("list", "--help").stdout, re.MULTILINE) == ["0", "1", "2", "3", "4", "130"]
    assert "exit codes:" not in run("run", "--help").stdout  # they are the other program's


def test_help_and_version_import_neither_httpx2_nor_pydantic() -> None:
    for argument in ("--help", "--version"):
        command = [sys.executable, "-X", "importtime", "-m", "cancel_message_batch", argument]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
        assert not re.search(r"\b(httpx2|pydantic|anthropic|anyio)\b", done.stderr)


def test_the_version_is_the_same_everywhere(run: Run) -> None:
    version = run("--version").stdout.split()[-1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version: "{version}"' in (ROOT / "SKILL.md").read_text()
