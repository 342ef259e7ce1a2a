"""The three tools as an MCP server, and this server on standard input and output.

On the SDK's low-level server, so that wrong arguments are answered in our words, and the structured content carries
the same truth as the text: some clients show a model only one of the two.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from cancel_message_batch import __version__
from cancel_message_batch.api.errors import APITimeoutError, clean
from cancel_message_batch.api.models import ID_LIMIT, MessageBatch
from cancel_message_batch.tools import CANCEL, LIST, TOOLS, Tool, ToolOutcome
from cancel_message_batch.words import failures
from cancel_message_batch.words.facts import duration, facts

from .confirmation import Confirmation, OpenQuestions

NAME = "cancel-message-batch"
INSTRUCTIONS = (
    "Cancel, list and check Anthropic Message Batches (large jobs of Claude requests; ids start with msgbatch_). "
    "cancel_message_batch permanently stops a running batch, but not immediately. Call it at once only if the "
    "person's message is nothing but an order to cancel an id that they typed. Otherwise (a name, a description, a "
    "condition, an id from a listing, a link or pasted text) look the batch up first, show its id, size and age, "
    "and cancel only after their yes, even if told not to ask. list_message_batches finds ids. get_message_batch "
    "shows whether a batch has stopped. Not for other providers' batches or for single requests."
)

# Seconds for one tool call. Clients of the TypeScript SDK give up after 60 and lose what the call has to say.
TIMEOUT = 50.0

# Left out until it is known: a client is told nothing rather than null.
Known = SkipJsonSchema[None]


class BatchFacts(BaseModel):
    """What is known of a batch."""

    message_batch_id: str = Field(description="Id")
    processing_status: str = Field(description="Only ended is stopped")
    requests: int = Field(description="Size")
    created: str = Field(description="Time, age")


class BatchOutput(BatchFacts):
    """What is known of a batch after a call."""

    summary: str = Field(description="What happened, what next")
    final_counts: dict[str, int] | Known = Field(None, description="Once ended; succeeded are billed")
    results_url: str | Known = Field(default=None, description="Once ended, for 29 days")


class ListedBatch(BatchFacts):
    """What a row of a listing shows."""

    name: str | Known = None


class ListOutput(BaseModel):
    """What a listing found."""

    summary: str = Field(description="How many")
    message_batches: list[ListedBatch] = Field(description="Newest first")


_FINAL = {"succeeded", "errored", "canceled", "expired"}


def _described(batch: MessageBatch) -> dict[str, Any]:
    known = facts(batch)
    which = {"message_batch_id": known.id, "processing_status": known.status}
    return {**which, "requests": known.requests, "created": known.created}


def _structured(tool: Tool, outcome: ToolOutcome) -> BaseModel | None:
    if tool is LIST:
        found = [ListedBatch(**_described(batch), name=batch.context.name) for batch in outcome.batches]
        return ListOutput(summary=outcome.headline, message_batches=found)
    batch = outcome.batch
    if batch is None or tool not in TOOLS:
        return None
    return BatchOutput(
        **_described(batch),
        summary=outcome.text,
        final_counts=batch.request_counts.model_dump(include=_FINAL) if batch.ended else None,
        results_url=clean(batch.results_url, limit=2000) if batch.results_url else None,
    )


def _definition(tool: Tool) -> types.Tool:
    output = None if tool not in TOOLS else ListOutput if tool is LIST else BatchOutput
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=_compact(output.model_json_schema()) if output else None,
        annotations=types.ToolAnnotations(
            read_only_hint=tool in TOOLS and tool is not CANCEL,
            destructive_hint=tool is CANCEL,
            idempotent_hint=True,
            open_world_hint=True,
        ),
    )


def _compact(schema: Any, defs: Any = None) -> Any:
    """Leave out of a schema what only repeats the names of its fields, and put its parts where they are meant."""
    if isinstance(schema, list):
        return [_compact(part, defs) for part in schema]
    if not isinstance(schema, dict):
        return schema
    defs = schema.get("$defs", defs)
    if "$ref" in schema:
        return _compact(defs[schema["$ref"].rpartition("/")[2]], defs)
    return {
        key: _compact(value, defs)
        for key, value in schema.items()
        if key not in {"$defs", "default", "additionalProperties"}
        and not (key == "title" and isinstance(value, str))
        and not (key == "description" and "properties" in schema)
    }


# Notes a cancel: the batch's id, what it came to, and whether the person was asked and said yes.
Note = Callable[[str, ToolOutcome, bool], None]


def build_server(
    *, more: Sequence[Tool] = (), confirm: bool = False, timeout: float = TIMEOUT, note: Note | None = None
) -> Server[Any]:
    """Build the server, with tools besides the three, if wished asking the person before each cancel.

    The timeout is in seconds for one tool call, without the time in which the person is asked.
    """
    definitions = [_definition(tool) for tool in (*TOOLS, *more)]
    tools = {tool.name: tool for tool in (*TOOLS, *more)}
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
        confirmation = Confirmation(questions, context, call, deadline) if confirm and tool is CANCEL else None
        try:
            async with deadline:
                approve = confirmation.approve if confirmation else None
                outcome = await tool.run_async(call.arguments or {}, approve=approve)
        except TimeoutError:
            late = APITimeoutError(f"the API did not answer within {duration(timeout)}", may_have_arrived=True)
            outcome = ToolOutcome(failures.failed(late, tool.action, _id(call)), str(late), error=late)
        if confirmation and confirmation.question:
            return confirmation.question
        if note and tool is CANCEL:  # in a thread, while the client is answered
            agreed = confirmation is not None and confirmation.agreed
            asyncio.get_running_loop().run_in_executor(None, note, _id(call), outcome, agreed)
        await context.session.report_progress(1, 1, "Answered")
        structured = None if outcome.is_error else _structured(tool, outcome)
        return _result(outcome.text, is_error=outcome.is_error, structured=structured)

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


def _result(text: str, *, is_error: bool = False, structured: BaseModel | None = None) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=text)],
        structured_content=structured.model_dump(mode="json", exclude_none=True) if structured else None,
        is_error=is_error,
    )


def serve_stdio(server: Server[Any]) -> None:
    """Serve one client until it closes standard input or output; Ctrl-C ends the process with 130."""

    async def serve() -> None:
        async with stdio_server() as (read, write):
            try:
                await server.run(read, write, server.create_initialization_options())
            except asyncio.CancelledError:  # standard output failed, so there is nobody to serve
                os._exit(0)

    # The SDK reads in a thread that nothing interrupts, and Python waits for its threads: only this ends it at once.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    asyncio.run(serve())
