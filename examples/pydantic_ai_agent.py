"""The tools in a Pydantic AI agent: python pydantic_ai_agent.py "Cancel message batch msgbatch_…"

pip install 'pydantic-ai-slim[anthropic]'. Credentials and base URL come from the environment. Before a cancel, it asks
for a yes on the terminal.
"""

import sys
from typing import Any

from pydantic_ai import Agent, Tool
from pydantic_ai.capabilities import HandleDeferredToolCalls

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches


def ask(_: Any, wanted: Any) -> Any:
    yes = {call.tool_call_id: input(f"Cancel {call.args}? [y/N] ") == "y" for call in wanted.approvals}
    return wanted.build_results(approvals=yes)


def build_agent(model: Any = "anthropic:claude-sonnet-5-5") -> Any:
    tools = [Tool(cancel_message_batch, requires_approval=True), list_message_batches, get_message_batch]
    return Agent(model, tools=tools, capabilities=[HandleDeferredToolCalls(ask)])


def answer(agent: Any, request: str) -> str:
    return str(agent.run_sync(request).output)


if __name__ == "__main__":
    print(answer(build_agent(), sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
