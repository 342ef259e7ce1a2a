"""The tools with Google's google-genai: python google_genai_agent.py "Cancel message batch msgbatch_…"

pip install google-genai. GEMINI_API_KEY is for the model; credentials and base URL of the batches come from the
environment. The SDK runs functions by itself and has no switch to ask first, so the function that cancels asks for a
yes on the terminal; listing and looking do not.
"""

import functools
import sys

from google import genai
from google.genai.types import GenerateContentConfig

from cancel_message_batch import cancel_message_batch, get_message_batch, list_message_batches


@functools.wraps(cancel_message_batch)
def cancel(message_batch_id: str) -> str:
    yes = input(f"Cancel {message_batch_id}? [y/N] ") == "y"
    return cancel_message_batch(message_batch_id) if yes else "Not canceled: the person said no."


def answer(request: str) -> str:
    config = GenerateContentConfig(tools=[cancel, list_message_batches, get_message_batch])
    client = genai.Client()
    return str(client.chats.create(model="gemini-3.5-flash", config=config).send_message(request).text)


if __name__ == "__main__":
    print(answer(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
