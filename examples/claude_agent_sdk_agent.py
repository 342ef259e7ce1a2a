"""The tools in an agent of the Claude Agent SDK: python claude_agent_sdk_agent.py "Cancel message batch msgbatch_…"

pip install claude-agent-sdk. Credentials and base URL come from the environment. Before a cancel, it asks for a yes on
the terminal. The SDK takes definitions and handlers instead of plain functions. Without the two empty lists, Claude
Code's own tools and the settings of this machine would be loaded too.
"""

import asyncio
import sys

import claude_agent_sdk as sdk

from cancel_message_batch.tools import TOOLS, Tool


def load(ours: Tool) -> sdk.SdkMcpTool:
    async def run(arguments: dict[str, object]) -> dict[str, object]:
        outcome = await ours.run_async(arguments)
        return {"content": [{"type": "text", "text": outcome.text}], "is_error": outcome.is_error}

    return sdk.tool(ours.name, ours.description, ours.input_schema)(run)


async def ask(name: str, arguments: dict[str, object], _: object) -> sdk.PermissionResult:
    yes = not name.endswith("cancel_message_batch") or input(f"Cancel {arguments}? [y/N] ") == "y"
    return sdk.PermissionResultAllow() if yes else sdk.PermissionResultDeny("deny", "The person said no.")


def build_agent(model: str = "claude-sonnet-5-5") -> sdk.ClaudeAgentOptions:
    ours = {"batches": sdk.create_sdk_mcp_server("batches", tools=[load(tool) for tool in TOOLS])}
    return sdk.ClaudeAgentOptions(model=model, mcp_servers=ours, tools=[], setting_sources=[], can_use_tool=ask)


async def answer(agent: sdk.ClaudeAgentOptions, request: str) -> str:
    messages = [message async for message in sdk.query(prompt=request, options=agent)]
    return str(messages[-1].result)


if __name__ == "__main__":
    print(asyncio.run(answer(build_agent(), sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))))
