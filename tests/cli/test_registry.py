"""The list of commands, and what it costs to ask one for help."""

import os
import re
import subprocess
import sys

import pytest

from cancel_message_batch.cli.registry import COMMANDS, load


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_name_it_is_listed_under(name: str) -> None:
    assert load(name).name == name


@pytest.mark.parametrize("arguments", [*([name, "--help"] for name in COMMANDS), ["completion", "bash"]])
def test_help_and_completion_load_no_library(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cancel_message_batch", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    libraries = r"\b(httpx2|pydantic|anthropic|anyio|prompt_toolkit|mcp_types|starlette|uvicorn)\b"
    assert not re.search(libraries, done.stderr)


@pytest.mark.parametrize("arguments", [["msgbatch_a"], ["list"], ["status", "msgbatch_a"]])
def test_a_plain_command_loads_nothing_that_only_asking_or_serving_needs(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cancel_message_batch", *arguments]
    address = ["--base-url", "http://127.0.0.1:9", "--max-retries", "0"]
    done = subprocess.run(
        [*command, *address], capture_output=True, text=True, check=False, env={**os.environ, "ANTHROPIC_API_KEY": "x"}
    )
    assert "httpx2" in done.stderr
    assert not re.search(r"\b(anthropic|prompt_toolkit|mcp_types|starlette|asyncio)\b", done.stderr)
