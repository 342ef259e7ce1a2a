"""Creates one batch, however often it is started: copy it together with its tests, `test_nightly.py`."""

import json
import time
from pathlib import Path
from typing import Any

from anthropic import Anthropic

REQUESTS: Any = [
    {
        "custom_id": country,
        "params": {
            "model": "claude-sonnet-5-5",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": f"What is the capital of {country}?"}],
        },
    }
    for country in ("France", "Japan", "Kenya")
]


def submit(note: Path) -> str:
    """Create the batch, or find the one that an earlier start created; return its id.

    A create whose response is lost may have been accepted, and a repeated one makes a second batch. So what is sent is
    noted first, nothing is sent again, and the next start looks for a batch of that time and size.
    """
    batches = Anthropic(max_retries=0).messages.batches
    if note.exists():
        noted = json.loads(note.read_text())
        if "id" in noted:
            return str(noted["id"])
        for batch in batches.list():
            if batch.created_at.timestamp() < noted["sent"] - 60:
                break
            if sum(batch.request_counts.model_dump().values()) == len(REQUESTS):
                note.write_text(json.dumps({"id": batch.id}))
                return batch.id
    note.write_text(json.dumps({"sent": time.time()}))
    batch = batches.create(requests=REQUESTS)
    note.write_text(json.dumps({"id": batch.id}))
    return batch.id


def cancel(note: Path) -> str:
    """Cancel the batch; return its status."""
    return Anthropic().messages.batches.cancel(submit(note)).processing_status
