"""Changes of a real response: what a proxy or a newer version of the API may make of it."""

import gzip
import json
from collections.abc import Callable
from typing import Any, Literal

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

Change = Literal["50 MB", "another batch", "gzip", "invalid UTF-8", "nulls", "unknown fields", "unknown values"]

ANOTHER_BATCH = "msgbatch_01AnotherBatchOfSandbox1"
_PADDING = b" " * (50 * 2**20)


def changed(status: int, headers: MutableHeaders, body: bytes, change: Change) -> Response:
    """Return the response with a change. One that is for JSON leaves anything else as it is."""
    del headers["content-length"]
    if change == "gzip":
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body)
    elif change == "50 MB":
        body += _PADDING
    elif change == "invalid UTF-8":
        body = body.replace(b'"', b'"\xff', 1)
    else:
        body = b"\n".join(_changed_json(line, _JSON_CHANGES[change]) for line in body.split(b"\n"))
    response = Response(body, status)
    response.raw_headers = [*headers.raw, (b"content-length", str(len(body)).encode())]
    return response


def _changed_json(line: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    try:
        value = json.loads(line)
    except ValueError:
        return line
    if isinstance(value, dict) and isinstance(listed := value.get("data"), list):
        value["data"] = [change(each) for each in listed]
    elif isinstance(value, dict):
        value = change(value)
    return json.dumps(value).encode()


def _unknown_values(value: dict[str, Any]) -> dict[str, Any]:
    inner = {key: {**each, "type": "sandbox_new"} for key, each in value.items() if key in {"error", "result"}}
    status = {"processing_status": "sandbox_new"} if "processing_status" in value else {}
    return {**value, **inner, **status}


_JSON_CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another batch": lambda value: {**value, "id": ANOTHER_BATCH},
    "nulls": lambda value: {key: each if key in {"custom_id", "id", "type"} else None for key, each in value.items()},
    "unknown fields": lambda value: {"sandbox_new": {"of": ["the", "future"]}, **value},
    "unknown values": _unknown_values,
}
