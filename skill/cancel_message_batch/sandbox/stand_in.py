"""A scripted stand-in for Claude, which answers ``POST /v1/messages`` without a model.

It takes orders only from the person's last message. System reminders and tool results are not orders. Everything it
says carries its label.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from .script import CANCEL_TOOL, GET_TOOL, ids_in, interpret

STAND_IN_MODEL = "scripted-stand-in"
STAND_IN_LABEL = "[scripted stand-in, not Claude] "

_THREADS_KEPT = 1000
_TOKEN = 4  # characters, by a rule of thumb
_DELTA = 24  # characters in one event of a stream

# A row of a listing: a line that starts with an id, perhaps after a bullet or the border of a table.
_ROW = re.compile(r"[\s|*-]*(msgbatch_[A-Za-z0-9_-]+)")
# What Claude Code and CrewAI add to a person's message.
_ADDED = re.compile(
    r"<system-reminder>.*?(?:</system-reminder>|\Z)|^Tool loaded\.$|^Current Task: ", re.DOTALL | re.MULTILINE
)


class RefusedError(Exception):
    """A request that the Messages API would not accept.

    Args:
        message: What is wrong with the request.
        details: The reason, for programs.
        unknown_thread: Whether the request continues an unknown thread.
    """

    def __init__(self, message: str, details: dict[str, Any] | None = None, *, unknown_thread: bool = False) -> None:
        super().__init__(message)
        self.details = details
        self.unknown_thread = unknown_thread


@dataclass(frozen=True)
class _Thread:
    """A conversation that is kept for the client."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    workspace: str


@dataclass(frozen=True)
class _ToolChoice:
    """How a request wants tools to be used (API reference: Create a Message, tool_choice)."""

    kind: str = "auto"
    name: str | None = None
    one_at_a_time: bool = False

    @classmethod
    def of(cls, given: Any, tools: list[dict[str, Any]]) -> "_ToolChoice":
        """Validate the ``tool_choice`` of a request.

        Raises:
            RefusedError: The choice is not valid.
        """
        if given is None:
            return cls()
        if not isinstance(given, dict) or given.get("type") not in {"auto", "any", "tool", "none"}:
            raise RefusedError("tool_choice.type: Input should be auto, any, tool or none")
        if not tools:
            raise RefusedError("tool_choice: may only be given with tools")
        name = given.get("name") if given["type"] == "tool" else None
        if given["type"] == "tool" and name not in [tool.get("name") for tool in tools]:
            raise RefusedError(f"tool_choice.name: there is no tool {name}")
        one_at_a_time = given.get("disable_parallel_tool_use", False)
        if not isinstance(one_at_a_time, bool):
            raise RefusedError("tool_choice.disable_parallel_tool_use: Input should be a boolean")
        return cls(given["type"], name, one_at_a_time)

    @property
    def forced(self) -> bool:
        """Whether the stand-in must call a tool."""
        return self.kind in {"any", "tool"}

    def allows(self, name: str) -> bool:
        """Tell whether the stand-in may call this tool."""
        return self.kind != "none" and self.name in {None, name}


@dataclass
class _ToolCall:
    """A tool call of the stand-in, and its result once there is one."""

    id: str
    name: str
    input: str
    result: str | None = None
    failed: bool = False


@dataclass
class _Turn:
    """The person's last message, and the tool calls that the stand-in has made for it."""

    message: str
    calls: list[_ToolCall] = field(default_factory=list)


class StandIn:
    """The scripted model. It keeps the newest thousand threads.

    A client creates a thread with ``thread: {"type": "create"}``. It continues from any reply with
    ``{"type": "continue", "previous_message_id": …}``, the new messages and no tools (beta ``message-threads``).
    """

    def __init__(self) -> None:
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        self._answers = 0

    def answer(self, body: Any, workspace: str) -> dict[str, Any]:
        """Answer one request of the Messages API.

        Args:
            body: The request, parsed.
            workspace: The workspace of the request. Threads of other workspaces are unknown.

        Returns:
            The message (API reference: Create a Message).

        Raises:
            RefusedError: The API would not accept the request.
        """
        _check(body)
        thread = body.get("thread")
        held = self._held(thread, body, workspace)
        messages = [*held.messages, *body["messages"]]
        _check_results(messages)
        choice = _ToolChoice.of(body.get("tool_choice"), held.tools)
        self._answers += 1
        content = self._content(messages, held.tools, choice)
        stop_reason = "tool_use" if content[0]["type"] == "tool_use" else "end_turn"
        if stop_reason == "end_turn" and tokens(content[0]["text"]) > body["max_tokens"]:
            content[0]["text"] = content[0]["text"][: _TOKEN * body["max_tokens"]]
            stop_reason = "max_tokens"
        message: dict[str, Any] = {
            "id": f"msg_01standin{self._answers:015d}",
            "type": "message",
            "role": "assistant",
            "model": STAND_IN_MODEL,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {
                "input_tokens": tokens(messages),
                "output_tokens": tokens(content[0]["text"] if content[0]["type"] == "text" else content),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "service_tier": "standard",
            },
        }
        if thread is not None:
            said = [*messages, {"role": "assistant", "content": content}]
            self._threads[message["id"]] = _Thread(said, held.tools, workspace)
            if len(self._threads) > _THREADS_KEPT:
                self._threads.popitem(last=False)
        return message

    def _held(self, thread: Any, body: dict[str, Any], workspace: str) -> _Thread:
        """Find the thread that a request continues. Without one, the request holds the whole conversation."""
        kind = thread.get("type") if isinstance(thread, dict) else None
        if thread is None or kind == "create":
            return _Thread([], body.get("tools") or [], workspace)
        if kind != "continue":
            raise RefusedError("thread.type: Input should be create or continue")
        if repeated := [name for name in ("system", "tools") if name in body]:
            raise RefusedError(f"{', '.join(repeated)}: the thread keeps what it was created with")
        previous = str(thread.get("previous_message_id"))
        found = self._threads.get(previous)
        if found is None or found.workspace != workspace:
            raise RefusedError(
                f"There is no thread with the message {previous}.",
                {"error_code": "thread_not_found"},
                unknown_thread=True,
            )
        return found

    def _content(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], choice: "_ToolChoice"
    ) -> list[dict[str, Any]]:
        turn, earlier = _last_turn(messages)
        plan = interpret(turn.message, _mentioned(earlier))
        offered = _OfferedTools(tools, messages, choice)
        done = [call for call in turn.calls if not offered.is_search(call.name)]
        searched = len(turn.calls) > 0 and offered.is_search(turn.calls[-1].name)
        left = plan.inputs[len(done) :]
        listed = _listed_ids(done[0].result or "") if done else []
        if left:
            content = self._calls(plan.tool, left[:1] if choice.one_at_a_time else left, offered, searched=searched)
        elif plan.then_cancel_first and len(done) == 1 and not done[0].failed and listed:
            content = self._calls(CANCEL_TOOL, ({"message_batch_id": listed[0]},), offered, searched=searched)
        elif plan.tool:
            answered = done[-1:] if plan.then_cancel_first else done
            content = _text("\n\n".join(_relayed(call) for call in answered))
        else:
            content = _text(plan.text)
        if choice.forced and content[0]["type"] != "tool_use":
            raise RefusedError("tool_choice: the scripted stand-in finds no use for a tool here. Let it choose: auto.")
        return content

    def _calls(
        self, tool: str, inputs: tuple[dict[str, Any], ...], offered: "_OfferedTools", *, searched: bool
    ) -> list[dict[str, Any]]:
        """Call a tool, or search for it, or use the command line instead."""
        name = offered.name_of(tool)
        if name is None and offered.search is not None and not searched:
            name, inputs = offered.search, ({"query": tool.replace("_", " ")},)
        elif name is None and offered.shell is not None:
            name, inputs = offered.shell, tuple({"command": _command(tool, given)} for given in inputs)
        if name is None:
            return _text(f"I have no tool for this: {tool} is not offered to me, so it is not done.")
        return [
            {"type": "tool_use", "id": f"toolu_01standin{self._answers:09d}{index:04d}", "name": name, "input": given}
            for index, given in enumerate(inputs)
        ]


class _OfferedTools:
    """The tools that a request offers."""

    def __init__(self, tools: list[dict[str, Any]], messages: list[dict[str, Any]], choice: _ToolChoice) -> None:
        # A deferred tool can be used once a search has found it, even if the request does not list it.
        found = [
            str(block.get("tool_name"))
            for message in messages
            for result in _blocks(message)
            if result.get("type") == "tool_result" and isinstance(result.get("content"), list)
            for block in result["content"]
            if isinstance(block, dict) and block.get("type") == "tool_reference"
        ]
        listed = [str(tool.get("name")) for tool in tools if not tool.get("defer_loading")]
        names = [name for name in listed if choice.allows(name)]
        self._usable = [*names, *(name for name in found if choice.allows(name))]
        self.search = next((name for name in names if self.is_search(name)), None)
        shells = (name for name in names if name.lower() == "bash" or name.lower().endswith("shell"))
        self.shell = next(shells, None)

    def name_of(self, tool: str) -> str | None:
        """Return the name under which a tool is offered. MCP clients put the server's name before the tool's."""
        return next((name for name in self._usable if name.endswith(tool)), None)

    @staticmethod
    def is_search(name: str) -> bool:
        """Tell whether this tool finds other tools."""
        return name == "ToolSearch"


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


def tokens(value: Any) -> int:
    """Estimate the number of tokens of a value."""
    text = value if isinstance(value, str) else json.dumps(value)
    return max(1, len(text) // _TOKEN)


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def _text(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": STAND_IN_LABEL + text}]


def _check(body: Any) -> None:
    """Refuse a request without the fields that the API requires."""
    if not isinstance(body, dict):
        raise RefusedError("The request body is not valid JSON, or not an object.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise RefusedError("model: Field required")
    max_tokens = body.get("max_tokens")
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise RefusedError("max_tokens: Field required, an integer of at least 1")
    _check_messages(body.get("messages"))
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise RefusedError("tools: Input should be a list of tools")
    names = [str(tool.get("name")) for tool in tools]
    if len(set(names)) < len(names):
        raise RefusedError("tools: Tool names must be unique.")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise RefusedError("messages: at least one message is required")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in {"user", "assistant", "system"}:
            raise RefusedError(f"messages.{index}.role: Input should be user, assistant or system")
        content = message.get("content")
        if not isinstance(content, str | list):
            raise RefusedError(f"messages.{index}.content: Field required")
        if not content and not (message["role"] == "assistant" and index == len(messages) - 1):
            raise RefusedError(f"messages.{index}: all messages must have content, except a final one of the assistant")
        if isinstance(content, list) and not all(isinstance(block, dict) for block in content):
            raise RefusedError(f"messages.{index}.content: Input should be a text or a list of content blocks")


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
            raise RefusedError(f"messages: unexpected tool_use_id in tool_result blocks: {', '.join(unexpected)}")
        if missing := uses - results:
            raise RefusedError(f"messages: tool_use ids without tool_result blocks after them: {', '.join(missing)}")
        calls = blocks if role == "assistant" else []
        uses = {str(block.get("id")) for block in calls if block.get("type") == "tool_use"}


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)]


def _written(message: dict[str, Any]) -> str:
    """Return what the person wrote in a message, without what a program added."""
    if message["role"] != "user":
        return ""
    texts = [str(block.get("text", "")) for block in _blocks(message) if block.get("type") == "text"]
    return _ADDED.sub("", "\n".join(texts)).strip()


def _last_turn(messages: list[dict[str, Any]]) -> tuple[_Turn, list[dict[str, Any]]]:
    """Split a conversation at the person's last message: the turn that it starts, and all messages before."""
    start = max((at for at, message in enumerate(messages) if _written(message)), default=0)
    calls = list(chain.from_iterable(_tool_calls(messages[start + 1 :])))
    return _Turn(_written(messages[start]), calls), messages[:start]


def _tool_calls(messages: list[dict[str, Any]]) -> list[list[_ToolCall]]:
    """Return the tool calls of each message that has any, with their results."""
    groups = []
    calls: dict[str, _ToolCall] = {}
    for message in messages:
        group = []
        for block in _blocks(message):
            if block.get("type") == "tool_use":
                call = _ToolCall(str(block.get("id")), str(block.get("name")), json.dumps(block.get("input")))
                calls[call.id] = call
                group.append(call)
            elif block.get("type") == "tool_result" and block.get("tool_use_id") in calls:
                call = calls[block["tool_use_id"]]
                call.result, call.failed = _result_text(block), bool(block.get("is_error"))
        if group:
            groups.append(group)
    return groups


def _mentioned(earlier: list[dict[str, Any]]) -> list[str]:
    """Return the batches of the last tool calls: those they were for, or those that they listed."""
    for group in reversed(_tool_calls(earlier)):
        ids = [batch_id for call in group for batch_id in ids_in(call.input) or _listed_ids(call.result or "")]
        if ids:
            return list(dict.fromkeys(ids))
    return []


def _result_text(result: dict[str, Any]) -> str:
    content = result.get("content")
    if isinstance(content, list):
        return "\n".join(str(block["text"]) for block in content if isinstance(block, dict) and "text" in block)
    return content if isinstance(content, str) else ""


def _json_object(text: str) -> dict[str, Any]:
    """Parse a text that is a JSON object; return an empty one for any other text."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _listed_ids(listing: str) -> list[str]:
    """Return the ids of the rows of a listing, which is structured content or text."""
    if content := _json_object(listing):
        rows = next((value for value in content.values() if isinstance(value, list)), [])
        return [str(row["message_batch_id"]) for row in rows if isinstance(row, dict) and "message_batch_id" in row]
    return [row[1] for line in listing.splitlines() if (row := _ROW.match(line))]


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
    if tool == CANCEL_TOOL:
        return f"cancel-message-batch {given['message_batch_id']}"
    if tool == GET_TOOL:
        return f"cancel-message-batch status {given['message_batch_id']}"
    return f"cancel-message-batch list --status {given['status']}"
