"""Write the files that other clients install the MCP server with, from the Claude Code plugin and pyproject.toml.

Run from the root of the checkout, by ``make client-files``.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

PLUGIN_ROOT = "${CLAUDE_PLUGIN_ROOT}/"
# Codex and Gemini CLI do not pass variables that look like secrets to a server unless they are named here.
VARIABLES = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS"]


def client_files() -> dict[str, Any]:
    """Return the content of each file, by its path."""
    plugin = json.loads(Path(".claude-plugin/plugin.json").read_text())
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    about = {name: plugin[name] for name in ("name", "version", "description")}
    ((server, start),) = plugin["mcpServers"].items()

    def command(root: str) -> dict[str, Any]:
        return {"command": start["command"], "args": [part.replace(PLUGIN_ROOT, root) for part in start["args"]]}

    registry = json.loads(Path("server.json").read_text())
    (package,) = registry["packages"]
    registry["version"] = package["version"] = plugin["version"]
    package["runtimeArguments"] = [
        {"type": "named", "name": "--with", "value": requirement}
        for requirement in project["optional-dependencies"]["mcp"]
    ]
    return {
        ".codex-plugin/plugin.json": about
        | {
            "author": plugin["author"],
            "license": plugin["license"],
            "keywords": plugin["keywords"],
            # The first start installs the packages, which takes longer than the 10 seconds that Codex waits by default.
            "mcpServers": {server: command("") | {"cwd": ".", "env_vars": VARIABLES, "startup_timeout_sec": 120}},
        },
        "gemini-extension.json": about
        | {"mcpServers": {server: command("${extensionPath}/") | {"env": {VARIABLES[0]: f"${VARIABLES[0]}"}}}},
        "server.json": registry,
    }


if __name__ == "__main__":
    for path, content in client_files().items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(json.dumps(content, indent=2) + "\n")
