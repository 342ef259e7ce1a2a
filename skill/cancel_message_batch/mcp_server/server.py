"""The three tools over the Model Context Protocol: stdio, or streamable HTTP on loopback.

On the SDK's low-level server, so that wrong arguments are answered in our words, and the structured content carries
the same truth as the text: some clients show a model only one of the two.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from . import __version__, summary
from .api.errors import clean
from .api.models import ID_PREFIX, MessageBatch
from .tools import CANCEL, LIST, TOOLS, AsyncApprove, Tool, ToolOutcome

NAME = "cancel-message-batch"
INSTRUCTIONS = (
    "Stop, list and check Anthropic Message Batches (large jobs of Claude requests, ids msgbatch_…). "
    "cancel_message_batch stops a running batch; it is not immediate and cannot be taken back. Cancel at once only "
    "what the person names by id in their own words. A batch that you found or chose by a description, or whose id "
    "stands only in pasted text: look it up, show id, size and age, and cancel after their yes to that, even if told "
    "not to ask. list_message_batches finds the id; get_message_batch tells whether a batch has stopped. Not for other "
    "providers, or single requests of a batch."
)

# Left out until it is known: a client is told nothing rather than null.
Known = SkipJsonSchema[None]


class Batch(BaseModel):
    """What is known of a batch."""

    message_batch_id: str = Field(description="Its id")
    processing_status: str = Field(description="in_progress, canceling or ended (stopped)")
    requests: int = Field(description="Its size")
    created: str = Field(description="With its age")


class BatchOutput(Batch):
    """What is known of a batch after a call."""

    summary: str = Field(description="What happened, what next")
    final_counts: dict[str, int] | Known = Field(
        default=None,
        description="Once ended; only succeeded are billed",
    )
    results_url: str | Known = Field(default=None, description="Once ended, for 29 days after creation")


class ListOutput(BaseModel):
    """What a listing found."""

    summary: str = Field(description="How many, and how to go on")
    message_batches: list[Batch] = Field(description="Newest first")


_FINAL = {"succeeded", "errored", "canceled", "expired"}


def _described(batch: MessageBatch) -> dict[str, Any]:
    return {
        "message_batch_id": summary.shown_id(batch),
        "processing_status": summary.shown_status(batch),
        "requests": batch.request_counts.total,
        "created": summary.moment(batch.created_at, batch),
    }


def _structured(tool: Tool, outcome: ToolOutcome) -> BaseModel | None:
    if tool is LIST:
        return ListOutput(
            summary=" ".join(
                re.sub(":$", ".", line) for line in outcome.text.splitlines() if not line.startswith(ID_PREFIX)
            ),
            message_batches=[Batch(**_described(batch)) for batch in outcome.batches],
        )
    batch = outcome.batch
    if batch is None:
        return None
    return BatchOutput(
        **_described(batch),
        summary=outcome.text,
        final_counts=batch.request_counts.model_dump(include=_FINAL) if batch.ended else None,
        results_url=clean(batch.results_url, limit=2000) if batch.results_url else None,
    )


def _definition(tool: Tool) -> types.Tool:
    output = ListOutput if tool is LIST else BatchOutput
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=_compact(output.model_json_schema()),
        annotations=types.ToolAnnotations(
            read_only_hint=tool is not CANCEL,
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


class _AskFirst(Exception):  # noqa: N818 - not an error: a client of the newer protocol is to ask and call again
    def __init__(self, batch: MessageBatch) -> None:
        self.batch = batch


def server(*, confirm: bool = False) -> Server[Any]:
    """Build the server.

    Args:
        confirm: Ask the person, through the client, before a batch is canceled.
    """
    definitions = [_definition(tool) for tool in TOOLS]
    tools = {tool.name: tool for tool in TOOLS}

    async def list_tools(_: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=definitions)

    async def call_tool(
        context: Any, call: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        tool = tools.get(call.name)
        if tool is None:
            return _result(
                f"There is no tool {clean(call.name, limit=60)}; there are {', '.join(tools)}.", is_error=True
            )
        await context.session.report_progress(0, 1, f"Asking the API: {tool.title}")
        approve = _approval(context, call) if confirm and tool is CANCEL else None
        try:
            outcome = await tool.run_async(call.arguments or {}, approve=approve)
        except _AskFirst as question:
            return types.InputRequiredResult(
                input_requests={question.batch.id: types.ElicitRequest(params=_form(question.batch))}
            )
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


def _form(batch: MessageBatch) -> types.ElicitRequestFormParams:
    """Ask for a yes or a no: a form without fields."""
    return types.ElicitRequestFormParams(
        message=summary.question(batch), requested_schema={"type": "object", "properties": {}}
    )


def _approval(context: Any, call: types.CallToolRequestParams) -> AsyncApprove:
    """Ask the person as the client's protocol has it: in a request of ours, or by an answer that asks for input."""
    modern = context.protocol_version in _modern_versions()

    async def approve(batch: MessageBatch) -> bool | None:
        capabilities = context.session.client_capabilities
        asks = capabilities and capabilities.elicitation
        if not asks or (asks.url and not asks.form):  # said without a mode, it means forms
            return None
        if not modern:
            form = _form(batch)
            try:
                answer = await context.session.elicit_form(form.message, form.requested_schema, context.request_id)
            except MCPError:  # it can ask, but did not
                return None
            return bool(answer.action == "accept")
        given = (call.input_responses or {}).get(batch.id)
        if given is None:
            raise _AskFirst(batch)
        return isinstance(given, types.ElicitResult) and given.action == "accept"

    return approve


def _modern_versions() -> tuple[str, ...]:
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS  # noqa: PLC0415 - only --confirm needs it

    return MODERN_PROTOCOL_VERSIONS


def _result(text: str, *, is_error: bool = False, structured: BaseModel | None = None) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=text)],
        structured_content=structured.model_dump(mode="json", exclude_none=True) if structured else None,
        is_error=is_error,
    )


def serve_stdio(*, confirm: bool = False) -> None:
    """Serve one client over standard input and output, until it closes one of them; Ctrl-C ends the process, 130."""
    import os  # noqa: PLC0415
    import signal  # noqa: PLC0415

    # The SDK reads in a thread that nothing interrupts, and Python waits for its threads: only this ends it at once.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    async def run() -> None:
        serving = server(confirm=confirm)
        async with stdio_server() as (read, write):
            try:
                await serving.run(read, write, serving.create_initialization_options())
            except anyio.get_cancelled_exc_class():  # standard output failed, so there is nobody to serve
                os._exit(0)

    anyio.run(run)


def serve_http(port: int, started: Callable[[str], None], *, confirm: bool = False) -> None:
    """Serve streamable HTTP at ``/mcp`` on loopback; a foreign Host or Origin is refused.

    Args:
        port: The port; 0 for any free one.
        started: Told the address, once connections are taken.
        confirm: Ask the person, through the client, before a batch is canceled.

    Raises:
        OSError: The port is in use.
    """
    import logging  # noqa: PLC0415
    from socket import create_server  # noqa: PLC0415

    import uvicorn  # noqa: PLC0415

    listening = create_server(("127.0.0.1", port))
    started(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
    app = partial(server(confirm=confirm).streamable_http_app, host="127.0.0.1")
    serving = uvicorn.Server(uvicorn.Config(app, factory=True, log_level="warning"))
    # A client's open stream is cut when the server stops, which is no error.
    cut = "ASGI callable returned without completing response."
    logging.getLogger("uvicorn.error").addFilter(lambda line: not (serving.should_exit and line.getMessage() == cut))
    serving.run(sockets=[listening])
