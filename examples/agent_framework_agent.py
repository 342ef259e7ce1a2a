"""The tools in the Microsoft Agent Framework: python agent_framework_agent.py "Cancel message batch msgbatch_…"

pip install agent-framework-core agent-framework-anthropic. Credentials and base URL come from the environment. Before a
cancel, it asks for a yes on the terminal.
"""

import asyncio
import sys
from typing import Any

from agent_framework import Agent, Message, tool
from agent_framework.anthropic import AnthropicClient

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches

tools = [tool(cancel_message_batch, approval_mode="always_require"), list_message_batches, get_message_batch]


async def answer(request: Any) -> str:
    agent = Agent(AnthropicClient(model="claude-sonnet-5-5"), tools=tools)
    session = agent.create_session()
    run = await agent.run(request, session=session)
    while asked := run.user_input_requests:
        yes = [input(f"Cancel {call.function_call.arguments}? [y/N] ") == "y" for call in asked]
        answers = [call.to_function_approval_response(ok) for call, ok in zip(asked, yes, strict=True)]
        run = await agent.run(Message("user", answers), session=session)
    return str(run.text)


if __name__ == "__main__":
    print(asyncio.run(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))))
