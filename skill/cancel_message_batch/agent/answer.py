"""One answer of the model, put together from its events.

It needs of them only what a turn needs: not every server of the Messages API sends what the official SDK's own
``messages.stream`` relies on, such as ``usage``.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# How a model writes a call as text, where its server does not recognize the call.
_WRITTEN_CALL = r'"(?:name|function|tool)"\s*:\s*"(?:%s)"|<(?:tool_call|function_call)>|<function=|\[TOOL_CALLS\]'


@dataclass(frozen=True)
class Call:
    """The model calls a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


def events_of(message: Any) -> Iterator[dict[str, Any]]:
    """Return a whole message as its events, since not every server streams; none if it is no message."""
    if isinstance(message, dict) and message.get("type") == "message":
        yield {"type": "message_start"}
        for index, block in enumerate(message["content"]):
            yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "message_delta", "delta": {"stop_reason": message.get("stop_reason")}}
        yield {"type": "message_stop"}


class Answer:
    """Reads the events of an answer, in order.

    Attributes:
        text: What the model has said.
        stop_reason: Why the answer ended, in the API's word or another server's; empty while it has not ended.
        content: The blocks to send back, once the answer has ended.
        calls: The calls of tools among them.
        acts: Whether the calls are to be run: the answer was not cut off, and their arguments are whole.
        begun, ended: Whether the first and the last event have come.
    """

    def __init__(self) -> None:
        self.text = self.stop_reason = ""
        self.content: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.acts = self.begun = self.ended = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._json: dict[int, str] = {}  # the arguments of calls, as they stream in

    def read(self, event: dict[str, Any]) -> str:
        """Take in one event, and return the text that it adds. A garbled event raises an error of any type."""
        match event["type"]:
            case "message_start":
                self.begun = True
            case "content_block_start":
                block = self._blocks[event["index"]] = dict(event["content_block"])
                return self._say(block, str(block.pop("text", None) or "")) if block["type"] == "text" else ""
            case "content_block_delta":
                return self._add(event["index"], event["delta"])
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
            case "message_stop" if self.stop_reason:
                self._end()
        return ""

    def _add(self, index: int, delta: dict[str, Any]) -> str:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                return self._say(block, delta["text"])
            case "input_json_delta":
                self._json[index] = self._json.get(index, "") + delta["partial_json"]
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
        return ""

    def _say(self, block: dict[str, Any], text: str) -> str:
        text.encode()  # fails for half a character, which could not be sent back
        block["text"] = block.get("text", "") + text
        self.text += text
        return text

    def _end(self) -> None:
        whole = True
        for index, block in self._blocks.items():
            match block["type"]:
                case "text" if block["text"].strip():  # the API would refuse every later request with a blank one
                    self.content.append({"type": "text", "text": block["text"]})
                case "thinking" if block.get("signature"):  # nor does it take back what it has not signed
                    self.content.append(block)
                case "tool_use":
                    try:
                        given = json.loads(self._json[index]) if self._json.get(index) else block.get("input")
                    except ValueError:
                        given, whole = None, False
                    # Some servers leave the id out, or give the same one twice.
                    taken = {call.id for call in self.calls}
                    name = block.get("id") if block.get("id") not in taken else None
                    call = Call(
                        name or f"toolu_{len(self.content)}", block["name"], given if isinstance(given, dict) else {}
                    )
                    self.calls.append(call)
                    self.content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
                case "text" | "thinking":
                    pass
                case _:
                    self.content.append(block)
        if self.stop_reason == "tool_use" and not whole:
            raise ValueError("the arguments of a call are not JSON")
        # Some servers end an answer that holds calls with end_turn.
        self.acts = bool(self.calls) and whole and self.stop_reason in {"tool_use", "end_turn"}
        self.ended = True

    def writes_a_call(self, names: Iterable[str]) -> bool:
        """Whether the text looks like a call of one of these tools, which nobody has run."""
        return not self.calls and bool(re.search(_WRITTEN_CALL % "|".join(map(re.escape, names)), self.text))
