"""A scripted stand-in for Claude, which answers ``POST /v1/messages`` without a model.

It follows orders only from the person's last message, never from system reminders or tool results. Everything it says
starts with its label.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple

from .errors import APIError
from .inputs import MessageRequest, ToolChoice, accepted
from .script import GET_TOOL, LIST_TOOL, ids_in, interpret

STAND_IN_MODEL = "scripted-stand-in"
STAND_IN_LABEL = "[scripted stand-in, not Claude] "

_SEARCH = "ToolSearch"  # the tool that finds other tools
_THREADS_KEPT = 1000
_TOKEN = 4  # characters, by a rule of thumb
_DELTA = 24  # characters in one event of a stream

# A row of a listing: a line that starts with an id, perhaps after a bullet or the border of a table, and may end with
# a name in quotation marks.
_ROW = re.compile(r"[\s|*-]*(msgbatch_[A-Za-z0-9_-]+)(?:[^\"]*\"([^\"]*)\"$)?")
# What Claude Code and CrewAI add to a person's message.
_ADDED = re.compile(
    r"<system-reminder>.*?(?:</system-reminder>|\Z)|^Tool loaded\.$|^Current Task: ", re.DOTALL | re.MULTILINE
)


class _Thread(NamedTuple):
    """A conversation that is kept for the client."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    workspace: str


@dataclass
class _ToolCall:
    """A tool call of the stand-in, and its result once there is one."""

    turn: int  # the message that it is in
    name: str
    input: str
    result: str = ""
    failed: bool = False


class StandIn:
    """The scripted model. It keeps the thousand newest threads.

    A client creates a thread with ``thread: {"type": "create"}``. It continues from any reply with
    ``{"type": "continue", "previous_message_id": …}``, the new messages and no tools (beta ``message-threads``).
    """

    def __init__(self) -> None:
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        self._answers = 0

    def answer(self, body: Any, workspace: str) -> dict[str, Any]:
        """Answer one request of the Messages API."""
        choice = accepted(MessageRequest, body).tool_choice
        thread = body.get("thread")
        earlier = self._earlier(thread, body, workspace)
        messages = [*earlier.messages, *body["messages"]]
        _check_results(messages)
        offered = _OfferedTools(earlier.tools, messages, choice)
        self._answers += 1
        content = self._content(messages, offered)
        stop_reason = "tool_use" if content[0]["type"] == "tool_use" else "end_turn"
        if stop_reason == "end_turn" and tokens(content[0]["text"]) > body["max_tokens"]:
            content[0]["text"] = content[0]["text"][: _TOKEN * body["max_tokens"]]
            stop_reason = "max_tokens"
        message_id = f"msg_01standin{self._answers:015d}"
        fields = {"id": message_id, "model": STAND_IN_MODEL, "content": content, "stop_reason": stop_reason}
        if thread is not None:
            said = [*messages, {"role": "assistant", "content": content}]
            self._threads[message_id] = _Thread(said, earlier.tools, workspace)
            if len(self._threads) > _THREADS_KEPT:
                self._threads.popitem(last=False)
        return described_message(fields, tokens(messages), "standard")

    def _earlier(self, thread: Any, body: dict[str, Any], workspace: str) -> _Thread:
        """Find the thread that a request continues. Without one, the request contains the whole conversation."""
        kind = thread.get("type") if isinstance(thread, dict) else None
        if thread is None or kind == "create":
            return _Thread([], body.get("tools") or [], workspace)
        if kind != "continue":
            raise APIError(400, "thread.type: Input should be create or continue")
        if repeated := [name for name in ("system", "tools") if name in body]:
            raise APIError(400, f"{', '.join(repeated)}: the thread keeps what it was created with")
        previous = str(thread.get("previous_message_id"))
        found = self._threads.get(previous)
        if found is None or found.workspace != workspace:
            unknown = f"There is no thread with the message {previous}."
            raise APIError(404, unknown, {"error_code": "thread_not_found"})
        return found

    def _content(self, messages: list[dict[str, Any]], offered: "_OfferedTools") -> list[dict[str, Any]]:
        start = max((at for at, message in enumerate(messages) if _written(message)), default=0)
        plan = interpret(_written(messages[start]), _mentioned(messages[:start]))
        calls = _tool_calls(messages[start + 1 :])
        done = [call for call in calls if call.name != _SEARCH]
        searched = bool(calls) and calls[-1].name == _SEARCH
        if plan.then and done and not done[0].failed and (after := plan.then(_listed(done[0].result))):
            plan, done = after, done[1:]
        if left := plan.inputs[len(done) :]:
            content = self._calls(plan.tool, left[:1] if offered.one_at_a_time else left, offered, searched=searched)
        else:
            content = _text(plan.text or "\n\n".join(map(_relayed, done)))
        if offered.forced and content[0]["type"] != "tool_use":
            raise APIError(400, "tool_choice: the scripted stand-in has no use for a tool here. Let it choose: auto.")
        return content

    def _calls(
        self, tool: str, inputs: tuple[dict[str, Any], ...], offered: "_OfferedTools", *, searched: bool
    ) -> list[dict[str, Any]]:
        """Call a tool, or search for it, or use the command line instead."""
        name = offered.name_of(tool)
        if name is None and offered.search and not searched:
            name, inputs = _SEARCH, ({"query": tool.replace("_", " ")},)
        elif name is None and offered.shell is not None:
            name, inputs = offered.shell, tuple({"command": _command(tool, given)} for given in inputs)
        if name is None:
            return _text(f"I have no tool for this, so I did nothing: {tool} is not available to me.")
        return [
            {"type": "tool_use", "id": f"toolu_01standin{self._answers:09d}{index:04d}", "name": name, "input": given}
            for index, given in enumerate(inputs)
        ]


class _OfferedTools:
    """The tools that a request offers, and how they may be used (API reference: Create a Message, tool_choice)."""

    def __init__(self, tools: list[dict[str, Any]], messages: list[dict[str, Any]], choice: ToolChoice | None) -> None:
        try:
            self.forced = bool(choice and choice.forced(tools))
        except ValueError as error:
            raise APIError(400, str(error)) from error
        choice = choice or ToolChoice()
        only = choice.name if choice.type == "tool" else None
        # A deferred tool can be used once a search has found it, even if the request does not list it.
        found = [
            str(block.get("tool_name"))
            for message in messages
            for result in _blocks(message)
            for block in _blocks(result)
            if block.get("type") == "tool_reference"
        ]
        listed = [str(tool.get("name")) for tool in tools if not tool.get("defer_loading")]
        self._usable = [name for name in (*listed, *found) if choice.type != "none" and only in {None, name}]
        self.one_at_a_time = choice.disable_parallel_tool_use
        self.search = _SEARCH in self._usable
        shells = (name for name in self._usable if name.lower() == "bash" or name.lower().endswith("shell"))
        self.shell = next(shells, None)

    def name_of(self, tool: str) -> str | None:
        """Return the name under which a tool is offered. MCP clients put the server's name before the tool's."""
        return next((name for name in self._usable if name.endswith(tool)), None)


def events(message: dict[str, Any]) -> Iterator[str]:
    """Yield a message as the events of a stream (API reference: Streaming Messages)."""
    usage = {**message["usage"], "output_tokens": 1}
    start = {**message, "content": [], "stop_reason": None, "usage": usage}
    yield _event("message_start", message=start)
    for index, block in enumerate(message["content"]):
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield _event("content_block_start", index=index, content_block=empty)
        if index == 0:
            yield _event("ping")
        if block["type"] == "text":
            kind, name, whole = "text_delta", "text", block["text"]
        else:
            kind, name, whole = "input_json_delta", "partial_json", json.dumps(block["input"])
        for at in range(0, len(whole), _DELTA):
            yield _event("content_block_delta", index=index, delta={"type": kind, name: whole[at : at + _DELTA]})
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield _event("message_delta", delta=delta, usage={"output_tokens": message["usage"]["output_tokens"]})
    yield _event("message_stop")


def described_message(fields: dict[str, Any], input_tokens: int, service_tier: str) -> dict[str, Any]:
    """Describe a message of the assistant as the API does (API reference: Create a Message)."""
    usage = {
        "input_tokens": input_tokens,
        "output_tokens": tokens(fields["content"][0].get("text") or fields["content"]),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "service_tier": service_tier,
    }
    return {"type": "message", "role": "assistant", "stop_sequence": None, **fields, "usage": usage}


def tokens(value: Any) -> int:
    """Estimate the number of tokens of a value."""
    text = value if isinstance(value, str) else json.dumps(value)
    return max(1, len(text) // _TOKEN)


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def _text(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": STAND_IN_LABEL + text}]


def _check_results(messages: list[dict[str, Any]]) -> None:
    """Refuse a conversation in which a tool use has no result in the next user message, or a result has no tool use.

    Consecutive messages of the same role count as one, even with system messages between them.
    """
    uses: set[str] = set()
    said = (message for message in messages if message["role"] != "system")
    turns = [(role, [*chain.from_iterable(map(_blocks, run))]) for role, run in groupby(said, itemgetter("role"))]
    for role, blocks in [*turns, ("user", [])]:
        results = {str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"}
        if unexpected := results - uses:
            raise APIError(400, f"messages: unexpected tool_use_id in tool_result blocks: {', '.join(unexpected)}")
        if missing := uses - results:
            raise APIError(400, f"messages: tool_use ids without tool_result blocks after them: {', '.join(missing)}")
        calls = blocks if role == "assistant" else []
        uses = {str(block.get("id")) for block in calls if block.get("type") == "tool_use"}


def _blocks(holder: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks of a message or of a tool result."""
    content = holder.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _written(message: dict[str, Any]) -> str:
    """Return what the person wrote in a message, without what a program added."""
    if message["role"] != "user":
        return ""
    texts = [str(block.get("text", "")) for block in _blocks(message) if block.get("type") == "text"]
    return _ADDED.sub("", "\n".join(texts)).strip()


def _tool_calls(messages: list[dict[str, Any]]) -> list[_ToolCall]:
    """Return the tool calls in some messages, with their results."""
    calls: dict[str, _ToolCall] = {}
    for turn, message in enumerate(messages):
        for block in _blocks(message):
            if block.get("type") == "tool_use":
                calls[str(block.get("id"))] = _ToolCall(turn, str(block.get("name")), json.dumps(block.get("input")))
            elif block.get("type") == "tool_result" and (call := calls.get(str(block.get("tool_use_id")))):
                call.result = "\n".join(str(part["text"]) for part in _blocks(block) if "text" in part)
                call.failed = bool(block.get("is_error"))
    return list(calls.values())


def _mentioned(earlier: list[dict[str, Any]]) -> list[str]:
    """Return the batches of the last tool calls: those they were for, or those that they listed."""
    turns: dict[int, dict[str, None]] = {}
    for call in _tool_calls(earlier):
        ids = ids_in(call.input) or dict(_listed(call.result))
        turns.setdefault(call.turn, {}).update(dict.fromkeys(ids))
    return next((list(ids) for ids in reversed(turns.values()) if ids), [])


def _json_object(text: str) -> dict[str, Any]:
    """Parse a text that is a JSON object; return an empty one for any other text."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _listed(listing: str) -> list[tuple[str, str]]:
    """Return the id and the name of each row of a listing, which is structured content or text."""
    if content := _json_object(listing):
        rows = next((value for value in content.values() if isinstance(value, list)), [])
        rows = [row for row in rows if isinstance(row, dict) and "message_batch_id" in row]
        return [(str(row["message_batch_id"]), str(row.get("name", ""))) for row in rows]
    return [(row[1], row[2] or "") for line in listing.splitlines() if (row := _ROW.match(line))]


def _relayed(call: _ToolCall) -> str:
    """Say what a tool returned."""
    if not call.result:
        return f"The tool {call.name} returned nothing, so I do not know what it did."
    if call.failed:
        return f"That did not work: {call.result}"
    # Some clients give the model a tool's structured content instead of its text.
    return str(_json_object(call.result).get("summary", call.result))


def _command(tool: str, given: dict[str, Any]) -> str:
    """Return the command that does the same as a tool call."""
    if tool == LIST_TOOL:
        return f"cancel-message-batch list --status {given['status']}"
    return f"cancel-message-batch {'status ' if tool == GET_TOOL else ''}{given['message_batch_id']}"
