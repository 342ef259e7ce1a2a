"""A batch that has ended, with whatever results a test wants the API to send."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from cancel_message_batch.sandbox import Fault, Sandbox

NAME = "msgbatch_strange"


def line(custom_id: str, kind: str = "succeeded", **others: Any) -> bytes:
    """Return a line of results as the API sends it."""
    result: dict[str, Any] = {"type": kind, **others}
    if kind == "succeeded":
        usage = {"input_tokens": 10, "output_tokens": 5}
        result = {"message": {"model": "claude-sonnet-5-5", "stop_reason": "end_turn", "usage": usage}, **result}
    return json.dumps({"custom_id": custom_id, "result": result}).encode()


def failed(custom_id: str, kind: str, message: str) -> bytes:
    """Return a line of an errored request."""
    return line(custom_id, "errored", error={"type": "error", "error": {"type": kind, "message": message}})


def serve(
    sandbox: Sandbox,
    body: bytes | Iterable[bytes],
    counts: dict[str, int],
    headers: dict[str, str] | None = None,
    **batch: Any,
) -> str:
    """Let the sandbox have an ended batch with these results; returns its id."""
    created = datetime.now(UTC) - timedelta(hours=2)
    described = {
        "id": NAME,
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0, **counts},
        "created_at": created.isoformat(),
        "expires_at": (created + timedelta(days=1)).isoformat(),
        "ended_at": (created + timedelta(hours=1)).isoformat(),
        "results_url": f"{sandbox.url}/v1/messages/batches/{NAME}/results",
        **batch,
    }
    sent = body if isinstance(body, bytes) else b"".join(one + b"\n" for one in body)
    sandbox.fail(Fault(match=f"GET */{NAME}", times=0, body=described))
    kind = "application/x-jsonl"
    sandbox.fail(Fault(match=f"GET */{NAME}/results", times=0, body=sent, content_type=kind, headers=headers or {}))
    return NAME
