"""The tools in a LlamaIndex agent: python llama_index_agent.py "Cancel message batch msgbatch_…"

pip install llama-index-core llama-index-llms-anthropic. Credentials and base URL come from the environment. Nobody is
asked before a cancel, because this framework has no way to ask: give the tool only to agents that you watch.
"""

import asyncio
import sys

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.anthropic import Anthropic

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches

tools = [cancel_message_batch, list_message_batches, get_message_batch]


async def answer(request: str) -> str:
    agent = FunctionAgent(tools=tools, llm=Anthropic(model="claude-sonnet-5-5"))
    return str(await agent.run(request))


if __name__ == "__main__":
    print(asyncio.run(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))))
