"""Create a batch, wait until it has ended, and read its results. If it fails before that, the batch is canceled.

python guard.py
Credentials and base URL come from the environment.
"""

import time

import anthropic

from cancel_message_batch import guard

countries = ["France", "Japan", "Kenya"]

with guard(anthropic.Anthropic(), name="capitals") as batches:
    batch = batches.create(
        requests=[
            {
                "custom_id": country,
                "params": {
                    "model": "claude-sonnet-5-5",
                    "max_tokens": 100,
                    "messages": [{"role": "user", "content": f"What is the capital of {country}?"}],
                },
            }
            for country in countries
        ]
    )
    print(batch.id, flush=True)
    while batches.retrieve(batch.id).processing_status != "ended":
        time.sleep(30)
    for answer in batches.results(batch.id):
        print(answer.custom_id, answer.result.type)
