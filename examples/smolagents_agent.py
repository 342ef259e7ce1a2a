"""The tools in a smolagents agent: python smolagents_agent.py "Cancel message batch msgbatch_…"

pip install 'smolagents[litellm]'. Credentials and base URL come from the environment. Nobody is asked before a cancel,
because this framework has no way to ask: give the tool only to agents that you watch.
"""

import sys

from smolagents import LiteLLMModel, ToolCallingAgent, tool

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

tools = [tool(cancel_message_batch), tool(list_message_batches), tool(get_message_batch)]
agent = ToolCallingAgent(tools=tools, model=LiteLLMModel("anthropic/claude-haiku-4-5"))

if __name__ == "__main__":
    print(agent.run(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
