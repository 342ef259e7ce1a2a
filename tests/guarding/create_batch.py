"""Create a batch with the official Python SDK, print its id, and wait, or exit with the code that is given."""

import sys
import time

import anthropic

params = {"model": "claude-sonnet-4-20250514", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
requests = [{"custom_id": f"q-{number}", "params": params} for number in range(3)]
print(anthropic.Anthropic().messages.batches.create(requests=requests).id, flush=True)  # type: ignore[arg-type]
if sys.argv[1] == "wait":
    time.sleep(60)
sys.exit(int(sys.argv[1]))
