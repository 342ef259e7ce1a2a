"""The tools with LiteLLM: python litellm_agent.py "Cancel message batch msgbatch_…"

pip install litellm. Credentials and base URL come from the environment. A cancel waits for a yes on the terminal;
listing and looking do not.
"""

import sys
from typing import Any

import litellm

from cancel_message_batch.tools import TOOLS


def answer(request: str) -> str:
    messages: list[Any] = [{"role": "user", "content": request}]
    schemas = [{"name": tool.name, "description": tool.description, "parameters": tool.input_schema} for tool in TOOLS]
    functions = [{"type": "function", "function": schema} for schema in schemas]
    while True:
        message = litellm.completion("anthropic/claude-sonnet-5-5", messages, tools=functions).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return str(message.content)
        for call in message.tool_calls:
            tool = next(tool for tool in TOOLS if tool.name == call.function.name)
            yes = not tool.needs_consent or input(f"Cancel {call.function.arguments}? [y/N] ") == "y"
            result = tool.run(call.function.arguments).text if yes else "The person said no."
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


if __name__ == "__main__":
    print(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
