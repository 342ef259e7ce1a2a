"""A scripted stand-in for Claude, which answers ``POST /v1/messages`` without a model.

It follows orders only from the person's last message, never from system reminders or tool results. Everything it says
starts with its label.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby, takewhile
from operator import itemgetter
from typing import Any, NamedTuple

from .errors import APIError
from .inputs import MessageRequest, ToolChoice, accepted
from .script import (
    CANCEL_TOOL,
    GET_TOOL,
    LIST_TOOL,
    SAVE_TOOL,
    THIS_ONE,
    WHICH_ONE,
    WHOLE,
    Context,
    Row,
    ids_in,
    interpret,
)

STAND_IN_MODEL = "scripted-stand-in"
STAND_IN_LABEL = "[scripted stand-in, not Claude] "

_SEARCH = "ToolSearch"  # the tool that finds other tools
_THREADS_KEPT = 1000
_TOKEN = 4  # characters, by a rule of thumb
_DELTA = 24  # characters in one event of a stream

_PAGES = 15  # of one listing

# A row of a listing: a line that starts with an id, perhaps after a bullet or the border of a table. After it come the
# status, the size and the age, in this order, and a name in quotation marks.
_ROW = re.compile(r"[\s|*-]*((msgbatch_[A-Za-z0-9_-]+).*)")
_NAME = re.compile(r"named \"([^\"]*)\"|\"([^\"]*)\"\s*$")
_SIZE = re.compile(r"(?:in_progress|canceling|ended)[\s,|]+([\d,]+)")
_AGE = re.compile(r"(\d+) ?(d|h|min|m|s)\b")
_AGE_TEXT = re.compile(r"\(([^()]*) ago\)|\s(\d+[dhms])\s")
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_NEXT_PAGE = re.compile(r"after_id (msgbatch_[A-Za-z0-9_-]+)")
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
        plan = interpret(_written(messages[start]), _context(messages[:start]))
        calls = _tool_calls(messages[start + 1 :])
        done = [call for call in calls if call.name != _SEARCH]
        searched = bool(calls) and calls[-1].name == _SEARCH
        tool, inputs = plan.tool, plan.inputs
        if plan.then and done and not done[0].failed:
            pages = list(takewhile(lambda call: call.name.endswith(LIST_TOOL), done)) or done[:1]
            if (after_id := _next_page(pages[-1])) and inputs[0]["limit"] == WHOLE and len(pages) < _PAGES:
                inputs = (*inputs * len(pages), {**inputs[0], "after_id": after_id})
            elif not pages[-1].failed and (rows := [row for page in pages for row in _listed(page.result)]):
                plan = plan.then(rows)
                tool, inputs, done = plan.tool, plan.inputs, done[len(pages) :]
        if left := inputs[len(done) :]:
            content = self._calls(tool, left[:1] if offered.one_at_a_time else left, offered, searched=searched)
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
        if name is None and tool == SAVE_TOOL and offered.shell is None:
            name = offered.name_of(GET_TOOL)
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


def _context(earlier: list[dict[str, Any]]) -> Context:
    """Return what the conversation was about: the batches that the person was shown, and its last turn."""
    shown: list[list[Row]] = []
    question, canceled, listing = "", False, False  # whether a listing is the last of a turn, which the person sees
    calls = _tool_calls(earlier)
    for turn, message in enumerate(earlier):
        if _written(message):
            question, canceled, listing = "", False, False
        if message["role"] != "assistant":
            continue
        rows: list[Row] = []
        here = [call for call in calls if call.turn == turn]
        for call in here:
            rows += _listed(call.result) if call.name.endswith(LIST_TOOL) else map(Row, ids_in(call.input))
            rows += [] if rows else _listed(call.result)
            canceled = canceled or call.name.endswith(CANCEL_TOOL) or "cancel-message-batch msgbatch_" in call.input
        said = "".join(str(block["text"]) for block in _blocks(message) if block.get("type") == "text")
        said = said.removeprefix(STAND_IN_LABEL)
        rows += _listed("\n".join(line for line in said.splitlines() if line.startswith("- ")))
        question = said if said.startswith((WHICH_ONE, THIS_ONE)) else question
        if rows:
            shown[len(shown) - listing :] = [rows]
            listing = any("list" in call.name + call.input for call in here)
    return Context(shown, question, canceled)


def _json_object(text: str) -> dict[str, Any]:
    """Parse a text that is a JSON object; return an empty one for any other text."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _listed(listing: str) -> list[Row]:
    """Return the rows of a listing, which is structured content or text."""
    lines = listing.splitlines()
    if content := _json_object(listing):
        rows = next((value for value in content.values() if isinstance(value, list)), [])
        lines = [_line(row) for row in rows if isinstance(row, dict) and "message_batch_id" in row]
    return [_row(found) for line in lines if (found := _ROW.match(line))]


def _line(row: dict[str, Any]) -> str:
    named = f', named "{row["name"]}"' if "name" in row else ""
    size = f"{row.get('requests', '?')} requests, created {row.get('created', 'at an unknown time')}"
    return f"{row['message_batch_id']} {row.get('processing_status', '')}, {size}{named}"


def _row(found: re.Match[str]) -> Row:
    line, batch_id = found.groups()
    facts, name = line.partition('"')[0], _NAME.search(line)
    size, age = _SIZE.search(facts), _AGE_TEXT.search(facts)
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _AGE.findall(age[0])) if age else None
    requests = int(size[1].replace(",", "")) if size else None
    running = "canceling" not in facts and "ended" not in facts
    return Row(batch_id, "".join(filter(None, name.groups())) if name else "", requests, seconds, running, line)


def _next_page(call: _ToolCall) -> str:
    """Return the after_id of the next page that a listing names outside its rows."""
    text = str(_json_object(call.result).get("summary", call.result))
    found = (_NEXT_PAGE.search(line) for line in text.splitlines() if not _ROW.match(line))
    return next((page[1] for page in found if page and page[1] not in call.input), "")


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
        status = f" --status {given['status']}" if given["status"] != "any" else ""
        return f"cancel-message-batch list{status}{' --limit 0' if given['limit'] == WHOLE else ''}"
    verb = {GET_TOOL: "status ", SAVE_TOOL: "results "}.get(tool, "")
    return f"cancel-message-batch {verb}{given['message_batch_id']}"
