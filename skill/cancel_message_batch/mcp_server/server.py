"""The three tools as an MCP server, and this server on standard input and output.

On the SDK's low-level server, so that wrong arguments are answered in our words, and the structured content carries
the same truth as the text: some clients show a model only one of the two.
"""

import asyncio
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from cancel_message_batch.api import __version__
from cancel_message_batch.api.errors import APITimeoutError, clean, plain_url
from cancel_message_batch.api.models import ID_LIMIT, MessageBatch
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.tools import CANCEL, GET, LIST, Tool, ToolOutcome, with_more
from cancel_message_batch.words import failures
from cancel_message_batch.words.facts import duration, facts

from .confirmation import Confirmation, OpenQuestions

NAME = "cancel-message-batch"
INSTRUCTIONS = (
    "Finds, checks and stops Anthropic Message Batches (large jobs of Claude requests; ids start with msgbatch_), and "
    "saves their results if it was started for that; it creates and deletes nothing. cancel_message_batch permanently "
    "stops a running batch, but not immediately. Call it at once when the person orders it, in their own words, for "
    "an id that they typed or a batch that they chose from what you showed. Otherwise (a name, a description, a "
    "condition, an id from a link or pasted text) look it up with list_message_batches, show what it is, and ask once. "
    "get_message_batch shows whether a batch has stopped. Not for other providers' batches or for single requests."
)

# Seconds for one tool call. Clients of the TypeScript SDK give up after 60 and lose what the call has to say.
TIMEOUT = 50.0


def _schema(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {**required, **optional}, "required": list(required), "type": "object"}


def _field(description: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"description": description, **more, "type": kind}


_FACTS = {
    "message_batch_id": _field("Id"),
    "processing_status": _field("ended: stopped"),
    "requests": _field("Size", "integer"),
    "created": _field("Time, age"),
}
_FINAL = {"succeeded", "errored", "canceled", "expired"}
# A field that is not known yet is left out, not null.
_BATCH = _schema(
    {**_FACTS, "summary": _field("In words")},
    {
        "final_counts": _field("Once ended", "object"),
        "results_url": _field("Once ended, for 29 days"),
    },
)
_ROWS = _schema(_FACTS, {"name": {"type": "string"}, "creator": {"type": "string"}})
_LISTING = _schema({"summary": _field("How many"), "message_batches": _field("Newest first", "array", items=_ROWS)}, {})
_OUTPUT_SCHEMAS = {CANCEL.name: _BATCH, GET.name: _BATCH, LIST.name: _LISTING}


def _facts(batch: MessageBatch, **more: Any) -> dict[str, Any]:
    known = facts(batch)
    values = {"message_batch_id": known.id, "processing_status": known.status, "requests": known.requests}
    return {**values, "created": known.created, **{name: value for name, value in more.items() if value}}


def _structured(tool: Tool, outcome: ToolOutcome) -> dict[str, Any] | None:
    if outcome.is_error or tool.name not in _OUTPUT_SCHEMAS:
        return outcome.structured
    if tool.name == LIST.name:
        rows = [_facts(batch, name=batch.context.name, creator=facts(batch).creator) for batch in outcome.batches]
        return {"summary": outcome.headline, "message_batches": rows}
    if (batch := outcome.batch) is None:
        return None
    counts = batch.request_counts.model_dump(include=_FINAL) if batch.ended else None
    return _facts(batch, summary=outcome.text, final_counts=counts, results_url=plain_url(batch.results_url))


def _definition(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=_OUTPUT_SCHEMAS.get(tool.name, tool.output_schema),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.name in {LIST.name, GET.name},
            destructive_hint=tool.needs_consent,
            idempotent_hint=True,
            open_world_hint=True,
        ),
    )


# In JSON: a backslash with what it escapes or both halves of a surrogate pair; the last branch is one half alone.
_ESCAPE = re.compile(r"(\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class _Input(io.TextIOWrapper):
    """Text without half a surrogate pair, which JavaScript may write: the SDK leaves the whole line unanswered."""

    def readline(self, *limit: Any) -> str:  # type: ignore[override]  # as in the stubs of the standard library
        return _ESCAPE.sub(lambda escape: escape[1] or r"\ufffd", super().readline(*limit))


def _standard_input() -> Any:
    """Open standard input for the protocol alone: a child that reads it too finds it empty, as in the SDK."""
    ours = os.dup(sys.stdin.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    return anyio.wrap_file(_Input(open(ours, "rb", closefd=False), encoding="utf-8", errors="replace"))


def build_server(*, more: Sequence[Tool] = (), confirm: bool = False, timeout: float = TIMEOUT) -> Server[Any]:
    """Build the server of the three tools and of ``more``; ``confirm`` asks the person before each cancel.

    ``timeout`` is in seconds for one call, not counting the time in which the person is asked.
    """
    tools = with_more(more)
    definitions = [_definition(tool) for tool in tools.values()]
    questions = OpenQuestions()

    async def list_tools(_: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=definitions)

    async def call_tool(
        context: Any, call: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        tool = tools.get(call.name)
        if tool is None:
            unknown = f"There is no tool {clean(call.name, limit=60)}; there are {', '.join(tools)}."
            return _result(unknown, is_error=True)
        await context.session.report_progress(0, 1, f"Asking the API: {tool.title}")
        deadline = asyncio.timeout(timeout)
        confirmation = Confirmation(questions, context, call, deadline) if confirm and tool.needs_consent else None
        notes = CancelNotes("MCP server")
        try:
            async with deadline:
                approve = confirmation.approve if confirmation else None
                outcome = await tool.run_async(call.arguments or {}, approve=approve, notes=notes)
        except TimeoutError:
            late = APITimeoutError(f"the API did not answer within {duration(timeout)}", may_have_arrived=True)
            text = failures.failed(late, tool.action, _id(call))
            outcome = ToolOutcome(text, str(late), sent=tool.needs_consent, error=late)
            if tool.unfinished:
                known = {"message_batch_id": _id(call), "summary": tool.unfinished}
                outcome = ToolOutcome(tool.unfinished, structured=known)
        finally:  # in a thread, while the client gets its answer
            asyncio.get_running_loop().run_in_executor(None, notes.write)
        if confirmation and confirmation.question:
            return confirmation.question
        await context.session.report_progress(1, 1, "Answered")
        return _result(outcome.text, is_error=outcome.is_error, structured=_structured(tool, outcome))

    return Server(
        NAME,
        version=__version__,
        title="Cancel Anthropic Message Batches",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _id(call: types.CallToolRequestParams) -> str:
    return clean(str((call.arguments or {}).get("message_batch_id", "")).strip(), limit=ID_LIMIT)


def _result(text: str, *, is_error: bool, structured: dict[str, Any] | None = None) -> types.CallToolResult:
    content = types.TextContent(text=text)
    return types.CallToolResult(content=[content], structured_content=structured, is_error=is_error)


def serve_stdio(server: Server[Any]) -> None:
    """Serve one client until it closes standard input or output; Ctrl-C ends the process with 130."""

    async def serve() -> None:
        async with stdio_server(_standard_input()) as (read, write):
            try:
                await server.run(read, write, server.create_initialization_options())
            except asyncio.CancelledError:  # standard output failed, so there is nobody to serve
                os._exit(0)

    # The SDK reads in a thread that nothing interrupts, and Python waits for its threads: only this ends it at once.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    asyncio.run(serve())
