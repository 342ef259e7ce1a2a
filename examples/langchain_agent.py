"""The tools in a LangChain agent: python langchain_agent.py "Cancel message batch msgbatch_…"

pip install langchain langchain-anthropic. Credentials and base URL come from the environment. Before a cancel, it asks
for a yes on the terminal.
"""

import sys
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches


def build_agent(model: Any = "anthropic:claude-sonnet-5-5") -> Any:
    tools = [cancel_message_batch, list_message_batches, get_message_batch]
    approval = HumanInTheLoopMiddleware({"cancel_message_batch": True})
    return create_agent(model, tools, middleware=[approval], checkpointer=InMemorySaver())


def answer(agent: Any, request: str) -> str:
    chat = {"configurable": {"thread_id": "1"}}
    run = agent.invoke({"messages": request}, chat)
    while asked := run.get("__interrupt__"):
        yes = [input(f"Cancel {call['args']}? [y/N] ") == "y" for call in asked[0].value["action_requests"]]
        run = agent.invoke(Command(resume={"decisions": [{"type": "approve" if ok else "reject"} for ok in yes]}), chat)
    return str(run["messages"][-1].text)


if __name__ == "__main__":
    print(answer(build_agent(), sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
