"""The tools in an MCP server of your own: python mcp_agent.py

pip install mcp. Credentials and base URL come from the environment. (`cancel-message-batch mcp` is the server that
comes with the package: it asks before a cancel with --confirm, and its results are structured.)
"""

from typing import Any

from mcp.server.mcpserver import MCPServer

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches


def build_server() -> Any:
    server = MCPServer("my-tools")
    for tool in (cancel_message_batch, list_message_batches, get_message_batch):
        server.add_tool(tool, structured_output=False)
    return server


if __name__ == "__main__":
    build_server().run()
