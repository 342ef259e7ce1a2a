"""The tools in llm: python llm_agent.py "Cancel message batch msgbatch_…"

llm install cancel-message-batch llm-anthropic. Credentials and base URL come from the environment. Before a cancel, it
asks for a yes on the terminal. (On the command line, --ta asks before every tool: llm --ta -m claude-sonnet-5 -T
cancel_message_batch -T list_message_batches -T get_message_batch "…".)
"""

import sys
from typing import Any

import llm

tools = [llm.get_tools()[name] for name in ("cancel_message_batch", "list_message_batches", "get_message_batch")]


def ask(tool: Any, call: Any) -> None:
    if tool.name == "cancel_message_batch" and input(f"Cancel {call.arguments}? [y/N] ") != "y":
        raise llm.CancelToolCall("The person said no.")


def answer(request: str) -> str:
    model = llm.get_model("claude-sonnet-5")
    return str(model.chain(request, tools=tools, before_call=ask).text())


if __name__ == "__main__":
    print(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
