"""The tools in an agent of Semantic Kernel: python semantic_kernel_agent.py "Cancel message batch msgbatch_…"

pip install 'semantic-kernel[anthropic]'. Credentials and base URL come from the environment. A cancel waits for a yes
on the terminal; listing and looking do not.
"""

import asyncio
import sys
from typing import Any

from semantic_kernel import Kernel
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.anthropic import AnthropicChatCompletion
from semantic_kernel.functions import FunctionResult, kernel_function

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches

kernel = Kernel(services=AnthropicChatCompletion(ai_model_id="claude-sonnet-5-5"))
tools = [cancel_message_batch, list_message_batches, get_message_batch]
kernel.add_functions("batches", [kernel_function(tool) for tool in tools])


@kernel.filter("auto_function_invocation")
async def ask(call: Any, next: Any) -> None:  # noqa: A002 - the framework's name
    if call.function.name != "cancel_message_batch" or input(f"Cancel {call.arguments}? [y/N] ") == "y":
        await next(call)
    else:
        call.function_result = FunctionResult(function=call.function.metadata, value="The person said no.")


if __name__ == "__main__":
    agent = ChatCompletionAgent(kernel=kernel)
    print(asyncio.run(agent.get_response(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))))
