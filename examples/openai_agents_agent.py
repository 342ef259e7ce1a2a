"""The tools in an agent of the OpenAI Agents SDK: python openai_agents_agent.py "Cancel message batch msgbatch_…"

pip install 'openai-agents[litellm]'. Credentials and base URL come from the environment. Before a cancel, it asks for a
yes on the terminal.
"""

import sys
from typing import Any

from agents import Agent, Runner, function_tool, set_tracing_disabled

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches


def build_agent(model: Any = "litellm/anthropic/claude-sonnet-5-5") -> Any:
    cancel = function_tool(cancel_message_batch, needs_approval=True)
    return Agent("Batches", model=model, tools=[cancel, *map(function_tool, (list_message_batches, get_message_batch))])


def answer(agent: Any, request: str) -> str:
    run = Runner.run_sync(agent, request)
    while run.interruptions:
        state = run.to_state()
        for call in run.interruptions:
            yes = input(f"Cancel {call.arguments}? [y/N] ") == "y"
            (state.approve if yes else state.reject)(call)
        run = Runner.run_sync(agent, state)
    return str(run.final_output)


if __name__ == "__main__":
    set_tracing_disabled(True)
    print(answer(build_agent(), sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
