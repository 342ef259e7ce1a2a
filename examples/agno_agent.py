"""The tools in an Agno agent: python agno_agent.py "Cancel message batch msgbatch_…"

pip install agno anthropic. Credentials and base URL come from the environment. Before a cancel, it asks for a yes on
the terminal.
"""

import sys

from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.tools import tool

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

cancel = tool(requires_confirmation=True)(cancel_message_batch)
agent = Agent(model=Claude(id="claude-sonnet-5-5"), tools=[cancel, list_message_batches, get_message_batch])

if __name__ == "__main__":
    run = agent.run(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))
    while run.is_paused:
        for wanted in run.active_requirements:
            yes = input(f"Cancel {wanted.tool_execution.tool_args}? [y/N] ") == "y"
            wanted.confirm() if yes else wanted.reject()
        run = agent.continue_run(run)
    print(run.content)
