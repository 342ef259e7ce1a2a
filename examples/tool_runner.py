"""The tools in the Anthropic SDK's tool runner: python tool_runner.py "Cancel message batch msgbatch_…"

Credentials and base URL come from the environment, as the Anthropic SDK reads them.
"""

import os
import sys

import anthropic
from anthropic import beta_tool

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5-5")


def answer(request: str) -> str:
    runner = anthropic.Anthropic().beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1024,
        tools=[beta_tool(cancel_message_batch), beta_tool(list_message_batches), beta_tool(get_message_batch)],
        messages=[{"role": "user", "content": request}],
    )
    return "".join(block.text for block in runner.until_done().content if block.type == "text")


if __name__ == "__main__":
    print(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
