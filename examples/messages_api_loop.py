"""The tool in a hand-written Messages API loop: python messages_api_loop.py "Cancel message batch msgbatch_…"

Credentials and base URL come from the environment, as the Anthropic SDK reads them.
"""

import os
import sys
from typing import Any

import anthropic

from cancel_message_batch import Consent, question
from cancel_message_batch.tools import TOOLS

MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5-5")


def answer(request: str) -> str:
    client = anthropic.Anthropic()
    handlers = {tool.name: tool for tool in TOOLS}
    # A batch is canceled at once only if the request is nothing but an order to cancel its id.
    consent = Consent(lambda batch: input(f"{question(batch)} [y/N] ") == "y")
    consent.person_said(request)
    messages: list[Any] = [{"role": "user", "content": request}]
    while True:
        message = client.messages.create(
            model=MODEL,
            max_tokens=1024,
            tools=[tool.to_param() for tool in TOOLS],  # type: ignore[misc]  # plain JSON, as the API takes it
            messages=messages,
        )
        messages.append({"role": "assistant", "content": message.content})
        if message.stop_reason != "tool_use":
            return "".join(block.text for block in message.content if block.type == "text")
        results = []
        for block in message.content:
            if block.type == "tool_use":
                outcome = handlers[block.name].run(block.input, client.messages.batches, approve=consent)
                result = {"type": "tool_result", "tool_use_id": block.id, "content": outcome.text}
                results.append({**result, "is_error": outcome.is_error})
        messages.append({"role": "user", "content": results})


if __name__ == "__main__":
    print(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
