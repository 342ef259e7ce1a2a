"""What people install: that it agrees with the package, and holds what it should."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cancel_message_batch import __version__
from cancel_message_batch.tools import TOOLS
from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(name: str) -> Any:
    return json.loads((ROOT / name).read_text())


def test_every_manifest_tells_the_version_of_the_package() -> None:
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


def test_the_desktop_bundle_keeps_the_key_secret_and_lists_the_tools() -> None:
    done = subprocess.run([sys.executable, "release/manifest.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    manifest = json.loads(done.stdout)
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    assert manifest["version"] == __version__
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in TOOLS]
    assert (ROOT / manifest["server"]["entry_point"]).is_file()


def test_the_registry_entry_adds_what_the_mcp_server_needs() -> None:
    (package,) = read("server.json")["packages"]
    assert package["identifier"] == PROJECT["name"]
    assert [argument["value"] for argument in package["runtimeArguments"]] == PROJECT["optional-dependencies"]["mcp"]
    assert f"<!-- mcp-name: {read('server.json')['name']} -->" in (ROOT / "README.md").read_text()


def test_the_lock_pins_every_dependency_at_an_allowed_version_and_names_no_host() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    extras = PROJECT["optional-dependencies"]
    for wanted in map(Requirement, [*PROJECT["dependencies"], *extras["sandbox"], *extras["mcp"]]):
        assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, wanted


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
        "examples",
        "pyproject.toml",
        "requirements.lock",
        "skill",
    }
