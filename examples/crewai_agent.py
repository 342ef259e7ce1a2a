"""The tools in a CrewAI agent: python crewai_agent.py "Cancel message batch msgbatch_…"

pip install 'crewai[anthropic]'. Credentials and base URL come from the environment. Before a cancel, it asks for a yes
on the terminal.
"""

import sys
from typing import Any

from crewai import Agent
from crewai.hooks import before_tool_call
from crewai.tools import tool

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

MODEL = "anthropic/claude-sonnet-5-5"


@before_tool_call(tools=["cancel_message_batch"])
def ask(call: Any) -> bool:
    return input(f"Cancel {call.tool_input}? [y/N] ") == "y"


tools = [tool(cancel_message_batch), tool(list_message_batches), tool(get_message_batch)]
agent = Agent(role="Operator", goal="Do what the user asks", backstory="Knows batches", llm=MODEL, tools=tools)

if __name__ == "__main__":
    print(agent.kickoff(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)).raw)
