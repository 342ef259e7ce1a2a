"""The tools in a Haystack agent: python haystack_agent.py "Cancel message batch msgbatch_…"

pip install haystack-ai anthropic-haystack. Credentials and base URL come from the environment. Before a cancel, it asks
for a yes on the terminal.
"""

import sys

from haystack.components.agents import Agent
from haystack.dataclasses import ChatMessage
from haystack.hooks.human_in_the_loop import (
    AlwaysAskPolicy,
    BlockingConfirmationStrategy,
    ConfirmationHook,
    SimpleConsoleUI,
)
from haystack.tools import create_tool_from_function
from haystack_integrations.components.generators.anthropic import AnthropicChatGenerator

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

tools = [create_tool_from_function(f) for f in (cancel_message_batch, list_message_batches, get_message_batch)]
ask = BlockingConfirmationStrategy(confirmation_policy=AlwaysAskPolicy(), confirmation_ui=SimpleConsoleUI())
hooks = {"before_tool": [ConfirmationHook({"cancel_message_batch": ask})]}
agent = Agent(chat_generator=AnthropicChatGenerator(model="claude-sonnet-5-5"), tools=tools, hooks=hooks)

if __name__ == "__main__":
    messages = [ChatMessage.from_user(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))]
    print(agent.run(messages=messages)["last_message"].text)
