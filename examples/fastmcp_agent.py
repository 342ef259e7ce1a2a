"""The tools in a FastMCP server of your own: python fastmcp_agent.py

pip install fastmcp 'cancel-message-batch[mcp]'. Credentials and base URL come from the environment. The server that
comes with the package is mounted: with --confirm, it asks the person through the client before a cancel.
"""

import os
import sys

from fastmcp import FastMCP
from fastmcp.server import create_proxy

ours = {"command": sys.executable, "args": ["-m", "cancel_message_batch", "mcp", "--confirm"], "env": {**os.environ}}
server = FastMCP("my-tools")
server.mount(create_proxy({"mcpServers": {"message-batches": ours}}))

if __name__ == "__main__":
    server.run(show_banner=False)
