"""What people install: that it agrees with the package, and holds what it should."""

import base64
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cancel_message_batch import __version__
from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import TOOLS
from tests.conftest import KEY, ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, BUILD = PYPROJECT["project"], PYPROJECT["build-system"]


def read(name: str) -> Any:
    return json.loads((ROOT / name).read_text())


def test_every_manifest_has_the_version_of_the_package() -> None:
    registered = read("server.json")
    skill = re.search(r'^  version: "(.*)"$', (ROOT / "SKILL.md").read_text(), re.MULTILINE)
    assert skill
    told = {
        "plugin.json": read(".claude-plugin/plugin.json")["version"],
        "server.json": registered["version"],
        "its package": registered["packages"][0]["version"],
        "SKILL.md": skill[1],
    }
    assert told == dict.fromkeys(told, __version__)


def desktop_manifest() -> Any:
    done = subprocess.run([sys.executable, "release/manifest.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_desktop_bundle_keeps_the_key_secret_and_lists_the_tools() -> None:
    manifest = desktop_manifest()
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    assert manifest["version"] == __version__
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in TOOLS]
    assert (ROOT / manifest["server"]["entry_point"]).is_file()


def test_the_registry_entry_adds_what_the_mcp_server_needs() -> None:
    (package,) = read("server.json")["packages"]
    assert package["identifier"] == PROJECT["name"]
    assert [argument["value"] for argument in package["runtimeArguments"]] == PROJECT["optional-dependencies"]["mcp"]
    assert f"<!-- mcp-name: {read('server.json')['name']} -->" in (ROOT / "README.md").read_text()


def test_the_files_of_other_clients_say_what_the_plugin_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    files = runpy.run_path("release/client_files.py")["client_files"]()
    assert {path: read(path) for path in files} == files, "`make client-files` writes them anew"


def test_every_configuration_in_the_installation_page_starts_the_same_server() -> None:
    page = (ROOT / "docs/install.md").read_text()
    settings = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    servers = [
        setting.get("servers") or setting.get("mcpServers") or setting["context_servers"] for setting in settings
    ]
    started = [server["message-batches"] for server in servers]
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    started.append(tomllib.loads(toml)["mcp_servers"]["message-batches"])
    (vs_code,) = re.findall(r"vscode:mcp/install\?(\S+)\)", page)
    started.append(json.loads(unquote(vs_code)))
    (cursor,) = re.findall(r"mcp/install\?name=message-batches&config=(\S+)", page)
    started.append(json.loads(base64.b64decode(cursor)))
    assert len(started) == 6
    for server in started:
        assert [server["command"], *server["args"]] == ["cancel-message-batch", "mcp"]


def test_the_lock_pins_every_dependency_and_the_build_backend_by_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = {}
    for entry in lock.replace("\\\n", "").splitlines():
        if entry.startswith("#"):
            continue
        requirement, *hashes = entry.split(" --hash=")
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64} *", value) for value in hashes), entry
        (version,) = Requirement(requirement).specifier
        assert version.operator == "=="
        pinned[canonicalize_name(Requirement(requirement).name)] = version.version
    extras = PROJECT["optional-dependencies"]
    build = BUILD["requires"]
    for wanted in map(Requirement, [*PROJECT["dependencies"], *extras["sandbox"], *extras["mcp"], *build]):
        assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, wanted
    assert PROJECT["name"] not in pinned


@pytest.mark.parametrize("program", ["plugin.json", "the Desktop bundle"])
def test_the_mcp_server_of_plugin_and_bundle_starts_from_the_lock(program: str) -> None:
    server: dict[str, Any] = (
        read(".claude-plugin/plugin.json")["mcpServers"]["message-batches"]
        if program == "plugin.json"
        else desktop_manifest()["server"]["mcp_config"]
    )
    assert server["command"] == "uv"
    *start, script = server["args"]
    assert start == ["run", "--script"]
    assert re.sub(r"^\$\{\w+\}/", "", script) == "skill/start_mcp.py"
    (wanted,) = re.findall(r'^# requires-python = "(.*)"$', (ROOT / "skill/start_mcp.py").read_text(), re.MULTILINE)
    assert wanted == PROJECT["requires-python"]


def test_the_skills_curl_cancels_at_the_base_url_and_keeps_the_key_out_of_the_process_list(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "SKILL.md").read_text(), re.DOTALL)
    (command,) = (block for block in blocks if "curl" in block)
    real = shutil.which("curl")
    assert real
    watched = tmp_path / "curl"
    watched.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{tmp_path}/arguments"\nexec {real} "$@"\n')
    watched.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["processing_status"] == "canceling"
    (exchange,) = sandbox.journal
    assert exchange.headers["x-api-key"]
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.endswith("/cancel\n")
    assert KEY not in arguments


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an archive of the repository cannot be archived again")
def test_what_a_user_installs_holds_the_skill_and_the_package_and_no_tests(tmp_path: Path) -> None:
    subprocess.run([ROOT / "release/export.sh", tmp_path / "exported"], check=True)
    exported = {path.name for path in (tmp_path / "exported").iterdir()}
    assert exported == {
        ".claude-plugin",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "SKILL.md",
        "docs",
        "evals",  # where tools for skills look for it
        "examples",
        "pyproject.toml",
        "requirements.lock",
        "skill",
    }
