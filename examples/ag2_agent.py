"""The tools in an AG2 agent: python ag2_agent.py "Cancel message batch msgbatch_…"

pip install 'ag2[anthropic]'. Credentials and base URL come from the environment. Before a cancel, it asks for a yes on
the terminal.
"""

import asyncio
import sys

from ag2 import Agent, tool
from ag2.config import AnthropicConfig
from ag2.middleware import approval_required

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches

cancel = tool(cancel_message_batch, middleware=[approval_required(allow_always=False)])
tools = [cancel, list_message_batches, get_message_batch]


async def answer(request: str) -> str:
    agent = Agent("batches", config=AnthropicConfig("claude-sonnet-5-5"), tools=tools)
    reply = await agent.ask(request, hitl_hook=lambda question: input(question.content))
    return str(reply.body)


if __name__ == "__main__":
    print(asyncio.run(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))))
