"""The tools in an agent of Google's ADK: python google_adk_agent.py "Cancel message batch msgbatch_…"

pip install google-adk anthropic. Credentials and base URL come from the environment. Before a cancel, it asks for a yes
on the terminal.
"""

import sys

from google.adk.agents import LlmAgent
from google.adk.models.anthropic_llm import AnthropicLlm
from google.adk.runners import InMemoryRunner
from google.adk.tools import FunctionTool
from google.genai.types import Content, FunctionResponse, Part

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches

tools = [FunctionTool(cancel_message_batch, require_confirmation=True), list_message_batches, get_message_batch]
runner = InMemoryRunner(LlmAgent(name="batches", model=AnthropicLlm(model="claude-sonnet-5-5"), tools=tools))
runner.auto_create_session = True


def answer(parts: list[Part]) -> str:
    events = list(runner.run(user_id="me", session_id="1", new_message=Content(role="user", parts=parts)))
    calls = [call for event in events for call in event.get_function_calls() if call.name == "adk_request_confirmation"]
    replies = []
    for call in calls:
        yes = {"confirmed": input(f"Cancel {call.args['originalFunctionCall']['args']}? [y/N] ") == "y"}
        replies.append(Part(function_response=FunctionResponse(id=call.id, name=call.name, response=yes)))
    return answer(replies) if replies else "".join(part.text or "" for part in events[-1].content.parts)


if __name__ == "__main__":
    print(answer([Part(text=sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))]))
