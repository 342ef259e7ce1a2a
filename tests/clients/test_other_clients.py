"""Codex, Gemini CLI, opencode, `npx skills` and the steps of the Dockerfile, by what docs/install.md says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID
from tests.clients import models
from tests.clients.conftest import ASKED, NEEDS_CLIENTS, Client
from tests.conftest import ROOT, cancels

pytestmark = NEEDS_CLIENTS


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git tracks, in a directory of its own."""
    copied = tmp_path / "checkout"
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split():
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copied / name)
    return copied


@pytest.fixture
def model() -> Iterator[str]:
    with models.serving() as url:
        yield url


def block(section: str, language: str, number: int = 0) -> str:
    """A code block of a section of docs/install.md."""
    text = re.split(rf"^## {section}$", (ROOT / "docs/install.md").read_text(), flags=re.MULTILINE)[1]
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", text.split("\n## ")[0], re.DOTALL)
    return blocks[number]


def typed(client: Client, commands: str, where: Path, answer: str = "") -> "subprocess.CompletedProcess[str]":
    """Type the commands of a block in a directory."""
    done = client("sh", "-ec", f"cd '{where}'\nprintf '%s' '{answer}' | {{\n{commands}\n}}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def codex(client: Client, model: str, *options: str) -> str:
    provider = f'{{name="scripted",base_url="{model}/v1",wire_api="responses"}}'
    settings = ("-c", "model_provider=scripted", "-c", f"model_providers.scripted={provider}", *options)
    free = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    done = client("codex", "exec", *free, *settings, "--model", "scripted", ASKED)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_codex_cancels_with_the_mcp_server(client: Client, sandbox: Sandbox, model: str, tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    # What leads to the sandbox is one more variable.
    settings = block("Codex", "toml").replace('["ANTHROPIC_API_KEY"]', '["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]')
    (tmp_path / ".codex/config.toml").write_text(settings)
    assert "not immediate" in codex(client, model)
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_codex_installs_the_plugin_and_its_server_cancels(
    client: Client, sandbox: Sandbox, model: str, checkout: Path, tmp_path: Path
) -> None:
    typed(client, block("Codex", "sh"), checkout)
    (manifest,) = (tmp_path / ".codex/plugins/cache").glob("*/*/*/.codex-plugin/plugin.json")
    plugin = json.loads(manifest.read_text())
    plugin["mcpServers"]["message-batches"]["required"] = True  # so that the only request waits for the server
    manifest.write_text(json.dumps(plugin))
    assert "not immediate" in codex(client, model)
    assert cancels(sandbox) == [DOCUMENTED_ID]


@pytest.fixture
def gemini(monkeypatch: pytest.MonkeyPatch, model: str, tmp_path: Path) -> None:
    """A home of Gemini CLI that has an account: the scripted model's."""
    monkeypatch.setenv("GEMINI_API_KEY", "any")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", model)
    monkeypatch.setenv("GEMINI_CLI_TRUST_WORKSPACE", "true")
    (tmp_path / ".gemini").mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    (tmp_path / ".gemini/settings.json").write_text(json.dumps(settings))


@pytest.mark.usefixtures("gemini")
def test_gemini_cli_cancels_with_the_mcp_server_and_its_settings_hold_no_key(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    typed(client, block("Gemini CLI", "sh"), tmp_path)
    assert os.environ["ANTHROPIC_API_KEY"] not in (tmp_path / ".gemini/settings.json").read_text()
    done = client("gemini", "--yolo", "--prompt", ASKED)
    assert "not immediate" in done.stdout, done.stderr
    assert cancels(sandbox) == [DOCUMENTED_ID]


@pytest.mark.usefixtures("gemini")
def test_gemini_cli_installs_the_extension_and_its_server_cancels(
    client: Client, sandbox: Sandbox, checkout: Path, tmp_path: Path
) -> None:
    assert client("gemini", "extensions", "validate", checkout).returncode == 0
    typed(client, block("Gemini CLI", "sh", 1), checkout, answer="y\ny\n")  # it asks whether the source is trusted
    (start,) = (tmp_path / ".gemini/extensions").glob("*/skill/start_mcp.py")
    assert client("uv", "run", "--script", start, "--help").returncode == 0  # it does not wait for the first start
    done = client("gemini", "--yolo", "--prompt", ASKED)
    assert "not immediate" in done.stdout, done.stderr
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_opencode_cancels_with_the_mcp_server(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    typed(client, block("opencode", "sh"), tmp_path)
    (settings,) = (tmp_path / ".config/opencode").glob("opencode.json*")
    provider = {"anthropic": {"options": {"baseURL": f"{sandbox.url}/v1", "apiKey": "any"}}}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"provider": provider}))
    done = client("opencode", "run", "--auto", "--model", "anthropic/claude-sonnet-4-5", *ASKED.split())
    assert "not immediate" in done.stdout, done.stdout + done.stderr
    assert cancels(sandbox) == [DOCUMENTED_ID]


def test_npx_skills_finds_and_copies_the_skill(
    client: Client, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = client("node", "--version").stdout
    if tuple(map(int, version.strip("v\n").split("."))) < (22, 20):
        pytest.skip(f"it needs Node.js 22.20 or newer, and this is {version.strip()}")
    monkeypatch.setenv("DISABLE_TELEMETRY", "1")
    command = shlex.split(block("npx skills", "sh"))
    assert command[0] == "npx"
    done = client("sh", "-c", f"cd '{checkout}' && {shlex.join(command[1:])} --yes --agent codex")
    assert done.returncode == 0, done.stdout
    (copied,) = tmp_path.glob(".agents/skills/*/SKILL.md")
    assert copied.read_text() == (checkout / "SKILL.md").read_text()


def test_the_steps_of_the_dockerfile_install_a_command_that_serves(client: Client, tmp_path: Path) -> None:
    app, home = tmp_path / "app", tmp_path / "environment"
    app.mkdir()
    venv.create(home, with_pip=True)
    start: list[str] = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        step, _, rest = line.partition(" ")
        if step == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, app / target)
                else:
                    shutil.copy(ROOT / source, app / target)
        elif step == "RUN":
            done = client("sh", "-ec", f"cd '{app}'; PATH='{home}/bin':$PATH; {rest}")
            assert done.returncode == 0, done.stderr
        elif step in ("ENTRYPOINT", "CMD"):
            start += json.loads(rest)
    shutil.rmtree(app)
    asked = client("mcp-inspector", "--cli", home / "bin" / start[0], *start[1:], "--method", "tools/list")
    assert "cancel_message_batch" in asked.stdout, asked.stderr
