"""The tools in a Strands agent: python strands_agent.py "Cancel message batch msgbatch_…"

pip install 'strands-agents[anthropic]'. Credentials and base URL come from the environment. Before a cancel, it asks
for a yes on the terminal.
"""

import sys

from strands import Agent, tool
from strands.models.anthropic import AnthropicModel
from strands.vended_interventions.hitl import HumanInTheLoop

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

agent = Agent(
    model=AnthropicModel(model_id="claude-sonnet-5-5", max_tokens=1024),
    tools=[tool(cancel_message_batch), tool(list_message_batches), tool(get_message_batch)],
    interventions=[HumanInTheLoop(allowed_tools=["list_message_batches", "get_message_batch"], ask="stdio")],
)

if __name__ == "__main__":
    agent(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))
