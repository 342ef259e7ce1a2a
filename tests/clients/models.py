"""Scripted models behind the APIs that Codex and Gemini CLI speak: they call cancel, then repeat what they are told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID

CALLED = "cancel_message_batch"
ARGUMENTS = {"message_batch_id": DOCUMENTED_ID}


def responses(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The stream of OpenAI's Responses API. Codex offers the tools of a server as a namespace."""
    outputs = [item["output"] for item in request["input"] if item["type"] == "function_call_output"]
    offered = [tool for space in request["tools"] for tool in space.get("tools", [])]
    item: dict[str, Any]
    if not outputs and any(tool["name"] == CALLED for tool in offered):
        space = next(space["name"] for space in request["tools"] if CALLED in json.dumps(space.get("tools", [])))
        item = {
            "type": "function_call",
            "call_id": "call_1",
            "namespace": space,
            "name": CALLED,
            "arguments": json.dumps(ARGUMENTS),
        }
    else:
        said = str(outputs[-1]) if outputs else "There is no tool to cancel with."
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]}
    item |= {"id": "item_1", "status": "completed"}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": [item], "usage": usage}
    return [
        {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]


def generate_content(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The one chunk of a stream of the Gemini API."""
    parts = [part for content in request["contents"] for part in content["parts"]]
    results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    offered = [tool["name"] for group in request.get("tools", []) for tool in group.get("functionDeclarations", [])]
    called = [name for name in offered if name.endswith(CALLED)]
    part: dict[str, Any]
    if called and not results:
        part = {"functionCall": {"name": called[0], "args": ARGUMENTS}}
    elif not offered:  # it asks first how hard the request is
        part = {"text": json.dumps({"complexity_reasoning": "easy", "complexity_score": 1})}
    else:
        part = {"text": str(results[-1]) if results else "There is no tool to cancel with."}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    return [{"candidates": [candidate]}]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        events = (responses if self.path.endswith("/responses") else generate_content)(request)
        if self.path.endswith(":generateContent"):
            self._send("application/json", json.dumps(events[0]))
        else:
            self._send("text/event-stream", "".join(f"data: {json.dumps(event)}\n\n" for event in events))

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"models": [], "data": []}))

    def _send(self, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve the models; the base URL, without a version."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
