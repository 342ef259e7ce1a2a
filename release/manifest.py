"""Print the manifest of the Claude Desktop bundle (MCPB manifest specification 0.4)."""

import json
import tomllib
from pathlib import Path

from cancel_message_batch import __version__
from cancel_message_batch.tools import TOOLS

plugin = json.loads(Path(".claude-plugin/plugin.json").read_text())
project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
(server,) = plugin["mcpServers"].values()
key = {name: value for name, value in plugin["userConfig"]["api_key"].items() if name != "default"}

print(
    json.dumps(
        {
            "manifest_version": "0.4",
            "name": plugin["name"],
            "display_name": "Cancel Anthropic Message Batches",
            "version": __version__,
            "description": plugin["description"],
            "author": plugin["author"],
            "license": plugin["license"],
            "keywords": plugin["keywords"],
            "icon": "icon.png",
            "server": {
                "type": "uv",
                "entry_point": "skill/start_mcp.py",
                "mcp_config": {
                    "command": server["command"],
                    "args": [part.replace("${CLAUDE_PLUGIN_ROOT}", "${__dirname}") for part in server["args"]],
                    "env": {"ANTHROPIC_API_KEY": "${user_config.api_key}"},
                },
            },
            "tools": [{"name": tool.name, "description": tool.title} for tool in TOOLS],
            "compatibility": {
                "platforms": ["darwin", "win32", "linux"],
                "runtimes": {"python": project["requires-python"]},
            },
            "user_config": {
                "api_key": key | {"description": "A key that reaches the batches' workspace", "required": True}
            },
        },
        indent=2,
    )
)
