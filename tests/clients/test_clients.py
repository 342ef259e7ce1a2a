"""Real clients drive what is built for them: MCP Inspector, Claude Code, uv and pip.

`make test-clients` installs them and builds the bundles; without that these tests are skipped. The model behind Claude
Code is the sandbox's scripted stand-in.
"""

import json
import os
import re
import shutil
import subprocess
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch import __version__
from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID
from cancel_message_batch.tools import TOOLS
from tests.clients.conftest import ASKED, NEEDS_CLIENTS, Client
from tests.conftest import ROOT, cancels

pytestmark = NEEDS_CLIENTS


@pytest.fixture
def desktop(tmp_path: Path, client: Client) -> tuple[Path, dict[str, Any]]:
    """What the Claude Desktop bundle holds, and its manifest."""
    unpacked = tmp_path / "extension"
    done = client("mcpb", "unpack", ROOT / f"dist/cancel-message-batch-{__version__}.mcpb", unpacked)
    assert done.returncode == 0, done.stderr
    return unpacked, json.loads((unpacked / "manifest.json").read_text())


def claude(client: Client, request: str, *options: str) -> tuple[list[dict[str, Any]], str]:
    """Ask Claude Code once; what it did, event by event, and its answer."""
    done = client("claude", "-p", request, *options, "--output-format", "stream-json", "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return events, events[-1]["result"]


def servers(**definitions: Any) -> tuple[str, ...]:
    return "--strict-mcp-config", "--mcp-config", json.dumps({"mcpServers": definitions})


def test_mcp_inspector_lists_the_tools_and_cancels(client: Client, sandbox: Sandbox) -> None:
    def inspect(method: str, *options: str) -> "subprocess.CompletedProcess[str]":
        environment = [f"{name}={os.environ[name]}" for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")]
        given = [part for pair in environment for part in ("-e", pair)]
        return client("mcp-inspector", "--cli", *given, "cancel-message-batch", "mcp", "--method", method, *options)

    listed = json.loads(inspect("tools/list").stdout)["tools"]
    assert {tool["name"] for tool in listed} == {tool.name for tool in TOOLS}
    call = ("--tool-name", "cancel_message_batch", "--tool-arg")
    answer = json.loads(inspect("tools/call", *call, f"message_batch_id={DOCUMENTED_ID}").stdout)
    assert "not immediate" in answer["content"][0]["text"]
    assert answer["structuredContent"]["processing_status"] == "canceling"
    assert cancels(sandbox) == [DOCUMENTED_ID]
    refused = inspect("tools/call", *call, "message_batch_id=batch_abc")
    assert "msgbatch_" in refused.stdout + refused.stderr
    assert len(cancels(sandbox)) == 1


def test_claude_code_cancels_with_the_mcp_server(client: Client, sandbox: Sandbox) -> None:
    server = {"command": "cancel-message-batch", "args": ["mcp"]}
    allowed = ("--allowedTools", "mcp__message-batches")
    _, answer = claude(client, ASKED, *servers(**{"message-batches": server}), *allowed)
    assert "not immediate" in answer
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_claude_code_lists_the_skill_and_runs_its_command(client: Client, sandbox: Sandbox, skill: Path) -> None:
    allowed = ("--allowedTools", "Skill,Bash(cancel-message-batch *)")
    events, answer = claude(client, ASKED, "--plugin-dir", str(skill), *servers(), *allowed)
    name = "cancel-message-batch:cancel-message-batch"
    assert name in events[0]["skills"]
    told = next(json.dumps(exchange.body) for exchange in sandbox.journal if exchange.path.endswith("/messages"))
    assert f"- {name}: Stops Anthropic Message Batches" in told
    used = [block["input"] for event in events if event["type"] == "assistant" for block in event["message"]["content"]
            if block["type"] == "tool_use" and block["name"] == "Bash"]  # fmt: skip
    assert [given["command"] for given in used] == [f"cancel-message-batch {DOCUMENTED_ID}"]
    assert "not immediate" in answer
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_claude_code_loads_the_skill_by_its_name(client: Client, sandbox: Sandbox, skill: Path) -> None:
    claude(client, "/cancel-message-batch:cancel-message-batch", "--plugin-dir", str(skill), *servers())
    told = [json.dumps(exchange.body) for exchange in sandbox.journal if exchange.path.endswith("/messages")]
    assert any("Go by what the person means, not by the form of their message." in body for body in told)


def test_the_plugin_installs_from_its_own_marketplace_and_its_server_cancels(
    client: Client, sandbox: Sandbox, skill: Path
) -> None:
    (commands,) = re.findall(
        r"^claude plugin .*\nclaude plugin .*", (skill / "docs/install.md").read_text(), re.MULTILINE
    )
    done = client("sh", "-ec", f"cd '{skill}'; {commands} --config api_key=sk-of-the-plugin")
    assert done.returncode == 0, done.stdout + done.stderr
    server = "mcp__plugin_cancel-message-batch_message-batches"
    events, answer = claude(client, ASKED, "--allowedTools", server)
    assert [found["status"] for found in events[0]["mcp_servers"]] == ["connected"], events[0]["mcp_servers"]
    assert "not immediate" in answer
    assert cancels(sandbox) == [DOCUMENTED_ID]
    keys = {exchange.headers["x-api-key"] for exchange in sandbox.journal if exchange.path.endswith("/cancel")}
    assert {key[-4:] for key in keys} == {"ugin"}  # all that the sandbox keeps of it


def test_the_desktop_bundle_starts_as_its_manifest_says_and_cancels(
    client: Client, sandbox: Sandbox, desktop: tuple[Path, dict[str, Any]]
) -> None:
    where, manifest = desktop
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    start = manifest["server"]["mcp_config"]
    arguments = [part.replace("${__dirname}", str(where)) for part in start["args"]]
    environment = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "SSL_"))}
    environment |= {name: value.replace("${user_config.api_key}", "sk-typed") for name, value in start["env"].items()}
    environment["ANTHROPIC_BASE_URL"] = sandbox.url
    given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
    done = client(
        "mcp-inspector", "--cli", *given, start["command"], *arguments,
        "--connect-timeout", "120000", "--method", "tools/call", "--tool-name", "cancel_message_batch",
        "--tool-arg", f"message_batch_id={DOCUMENTED_ID}",
    )  # fmt: skip
    assert "not immediate" in done.stdout, done.stderr
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_the_skill_installs_as_it_says_and_its_command_cancels(
    client: Client, sandbox: Sandbox, skill: Path, tmp_path: Path
) -> None:
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    told = re.findall(r"^(pip install .*)", (skill / "SKILL.md").read_text(), re.MULTILINE)
    done = client("sh", "-ec", f"cd '{skill}'; PATH='{home}/bin':$PATH; {told[0]}")
    assert done.returncode == 0, done.stderr
    assert "not immediate" in client(home / "bin/cancel-message-batch", DOCUMENTED_ID).stdout
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_the_command_runs_without_installing_as_the_skill_says(client: Client, sandbox: Sandbox, skill: Path) -> None:
    (told,) = re.findall(r"`(uvx .*?) …`", (skill / "SKILL.md").read_text())
    done = client("sh", "-ec", f"cd '{skill}'; {told} {DOCUMENTED_ID}")
    assert "not immediate" in done.stdout, done.stderr
    assert cancels(sandbox) == [DOCUMENTED_ID]


def start(where: Path, *options: str) -> tuple[str, ...]:
    return ("uv", "run", "--script", str(where / "skill/start_mcp.py"), *options)


@pytest.mark.parametrize("package", ["prompt-toolkit", "mcp"])
def test_the_mcp_server_does_not_start_when_a_package_is_not_the_one_that_was_tried(
    client: Client, skill: Path, package: str
) -> None:
    lock = skill / "requirements.lock"
    before, entry, after = re.split(rf"(^{package}==.*?\n(?=\S))", lock.read_text(), flags=re.MULTILINE | re.DOTALL)
    lock.write_text(before + re.sub("sha256:....", "sha256:0000", entry) + after)
    done = client(*start(skill, "--help"))
    assert done.returncode == 1
    assert "so the MCP server cannot start" in done.stderr
    assert done.stdout == ""
    assert not list((skill / ".venv-mcp").iterdir())


def test_two_first_starts_at_once_share_the_packages_and_later_ones_need_no_index(client: Client, skill: Path) -> None:
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda _: client(*start(skill, "--help")), range(2))
    assert first.stdout.startswith("usage: cancel-message-batch mcp"), first.stderr
    assert second.stdout == first.stdout, second.stderr
    assert len(list((skill / ".venv-mcp").iterdir())) == 1
    (skill / "requirements.lock").chmod(0o400)
    done = client("env", "UV_OFFLINE=1", f"UV_CACHE_DIR={skill}/empty", *start(skill, "--help"))
    assert done.stdout == first.stdout, done.stderr


def test_the_desktop_bundle_leaves_nothing_for_the_host_to_resolve(
    client: Client, desktop: tuple[Path, dict[str, Any]]
) -> None:
    where, _ = desktop
    done = client("uv", "sync", "--directory", where)
    assert done.returncode == 0, done.stderr
    assert not list((where / ".venv").glob("lib/*/site-packages/*.dist-info"))


def test_the_release_runs_no_install_script_of_a_node_package(client: Client, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    script = {"postinstall": f"touch {tmp_path}/ran"}
    (package / "package.json").write_text(json.dumps({"name": "tried", "version": "1.0.0", "scripts": script}))
    (tmp_path / "release").mkdir()
    shutil.copy(ROOT / "release/node_tool.sh", tmp_path / "release")
    (tmp_path / "release/node_tools.txt").write_text(f"tried@file:{package}\n")
    done = client("release/node_tool.sh", "tried", "tried")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv-node/node_modules/tried/package.json").is_file()
    assert not (tmp_path / "ran").exists()
