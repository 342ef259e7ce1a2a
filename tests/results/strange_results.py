"""A batch that has ended, with whatever results a test wants the API to send, and saving them."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cancel_message_batch import MessageBatches
from cancel_message_batch.results.requests_file import RequestsFile
from cancel_message_batch.results.saving import Options, Saved, save
from cancel_message_batch.sandbox import Fault, Sandbox

NAME = "msgbatch_strange"


def line(custom_id: str, kind: str = "succeeded", **others: Any) -> bytes:
    """Return a line of results as the API sends it."""
    result: dict[str, Any] = {"type": kind, **others}
    if kind == "succeeded":
        usage = {"input_tokens": 10, "output_tokens": 5}
        result = {"message": {"model": "claude-sonnet-5-5", "stop_reason": "end_turn", "usage": usage}, **result}
    return json.dumps({"custom_id": custom_id, "result": result}).encode()


def answered(custom_id: str, model: str, **usage: Any) -> bytes:
    """Return a line of a request that succeeded, with its model and tokens."""
    return line(custom_id, message={"model": model, "stop_reason": "end_turn", "usage": usage})


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


BALANCE = "Your credit balance is too low to access the Anthropic API."
TOO_LONG = "prompt is too long: 208656 tokens > 200000 maximum"
MIXED = [
    line("good"),
    line("stopped", "canceled"),
    line("late", "expired"),
    failed("poor", "invalid_request_error", BALANCE),
    failed("wrong", "invalid_request_error", TOO_LONG),
    failed("busy", "overloaded_error", "Overloaded"),
]
COUNTS = {"succeeded": 1, "errored": 3, "canceled": 1, "expired": 1}


def request(custom_id: str, **others: Any) -> bytes:
    return json.dumps({"custom_id": custom_id, "params": {"model": "claude-sonnet-5-5"}, **others}).encode()


def written(path: Path, lines: Sequence[bytes]) -> RequestsFile:
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    return RequestsFile(path)


def run(batches: MessageBatches, out: Path, requests: RequestsFile | None = None, **options: Any) -> Saved:
    return save(batches, NAME, out, Options(requests=requests, **options))


def ids(path: Path) -> list[str]:
    return [json.loads(one)["custom_id"] for one in path.read_bytes().splitlines()]


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / NAME).iterdir()}
