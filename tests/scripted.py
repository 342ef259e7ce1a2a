"""A model that says what a test wrote down, over the streaming Messages API, or that fails as networks do."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

# Name and content: ("text", "…"), or a tool and its arguments, as an object or as the JSON that streams in.
Block = tuple[str, Any]


@dataclass(frozen=True)
class Raw:
    """An answer byte by byte; one that is cut promises more than it sends, one that hangs never ends."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    cut: bool = False
    hang: bool = False


def answer(reply: str | list[Block], stop_reason: str = "", number: int = 1) -> list[dict[str, Any]]:
    """The events that an answer streams in."""
    blocks = [("text", reply)] if isinstance(reply, str) else reply
    tools = any(name != "text" for name, _ in blocks)
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {
                "id": f"msg_{number}", "type": "message", "role": "assistant", "content": [],
                "model": "scripted", "stop_reason": None, "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            },
        }
    ]  # fmt: skip
    for index, (name, content) in enumerate(blocks):
        if name == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            delta: dict[str, Any] = {"type": "text_delta", "text": content}
        else:
            start = {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": name, "input": {}}
            given = content if isinstance(content, str) else json.dumps(content)
            delta = {"type": "input_json_delta", "partial_json": given}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": stop_reason or ("tool_use" if tools else "end_turn"), "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 1}})
    events.append({"type": "message_stop"})
    return events


def sse(events: list[dict[str, Any]]) -> bytes:
    """Write events as they go over the wire."""
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


CANCELING = {
    "type": "message_batch", "processing_status": "canceling", "results_url": None, "archived_at": None,
    "created_at": "2026-11-24T09:00:00Z", "expires_at": "2026-11-25T09:00:00Z", "ended_at": None,
    "cancel_initiated_at": "2026-11-24T10:00:00Z",
    "request_counts": {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
}  # fmt: skip


class Model:
    """What it is to answer, and what it was sent."""

    def __init__(self) -> None:
        self.replies: list[str | list[Block] | Raw] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.canceled: list[str] = []
        self.stop_reason = ""
        self.url = ""

    def reply(self, path: str, request: dict[str, Any]) -> Raw:
        if path.endswith("/cancel"):
            self.canceled.append(path.split("/")[-2])
            return Raw(json.dumps({"id": self.canceled[-1], **CANCELING}).encode())
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Raw):
            return reply
        return Raw(sse(answer(reply, self.stop_reason, len(self.requests))))


@contextmanager
def serving() -> Iterator[Model]:
    """Serve a model on loopback."""
    made = Model()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            reply = made.reply(self.path, json.loads(body or "{}"))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body) + reply.cut))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.hang:
                over.wait(60)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    over.set()
    server.shutdown()
    server.server_close()
