"""What becomes of one request of a batch: whether it fails, and its line in the results."""

import json
from datetime import UTC, datetime
from typing import Any

from .errors import APIError, described_error
from .inputs import BatchedParams, accepted
from .schemas import SchemaValue
from .stand_in import described_message, tokens

_LABEL = "[sandbox, no model wrote this]"

# The days on which models were or will be retired, by the official SDK's DEPRECATED_MODELS (0.68 to 2.14).
_RETIRED = {
    "2024-11-06": "claude-1.3 claude-1.3-100k claude-instant-1.1 claude-instant-1.1-100k claude-instant-1.2",
    "2025-07-21": "claude-2.0 claude-2.1 claude-3-sonnet-20240229",
    "2025-10-22": "claude-3-5-sonnet-20240620 claude-3-5-sonnet-20241022",
    "2026-01-05": "claude-3-opus-20240229",
    "2026-02-19": "claude-3-5-haiku-20241022 claude-3-5-haiku-latest claude-3-7-sonnet-20250219 "
    "claude-3-7-sonnet-latest",
    "2026-06-15": "claude-opus-4-0 claude-opus-4-20250514 claude-sonnet-4-0 claude-sonnet-4-20250514",
    "2026-06-30": "claude-mythos-preview",
    "2026-11-30": "claude-sonnet-4-5 claude-sonnet-4-5-20250929",
    "2027-01-22": "claude-opus-4-5 claude-opus-4-5-20251101",
}
_RETIRED_AT = {
    model: datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    for day, models in _RETIRED.items()
    for model in models.split()
}


def problem_of(params: Any, now: float) -> APIError | None:
    """Return why a request with these parameters fails when it runs, or None.

    The API validates them only then; an invalid request ends as errored (batch processing guide).
    """
    try:
        checked = accepted(BatchedParams, params)
        _content(checked, "")
    except APIError as error:
        return error
    except ValueError as error:
        return APIError(400, str(error))
    if now >= _RETIRED_AT.get(checked.model, now + 1):
        return APIError(404, f"model: {checked.model}")
    return None


def result_line(custom_id: str, outcome: str, params: Any, *, number: str, now: float) -> dict[str, Any]:
    """Build one line of the results (API reference: Retrieve Message Batch results)."""
    result: dict[str, Any] = {"type": outcome}
    if outcome == "succeeded":
        content = _content(accepted(BatchedParams, params), custom_id)
        stop = "tool_use" if content["type"] == "tool_use" else "end_turn"
        if stop == "tool_use":
            content["id"] = f"toolu_01{number}"
        fields = {"id": f"msg_01{number}", "model": params["model"], "content": [content], "stop_reason": stop}
        result["message"] = described_message(fields, tokens(params["messages"]), "batch")
    elif outcome == "errored":
        problem = problem_of(params, now) or APIError(500, f"{_LABEL} Internal server error")
        result["error"] = described_error(problem, f"req_01{number}")
    return {"custom_id": custom_id, "result": result}


def _content(params: BatchedParams, custom_id: str) -> dict[str, Any]:
    """Return what is answered: a call of the tool that must be used, the JSON that was asked for, or a text."""
    if tool := params.tool:
        schema = tool.get("input_schema", {})  # built-in tools have none
        made = SchemaValue({"type": "object", **schema} if isinstance(schema, dict) else schema).make()
        if not isinstance(made, dict):
            raise ValueError(f"tools: the input_schema of {tool.get('name')} does not describe an object")
        return {"type": "tool_use", "id": "", "name": tool.get("name"), "input": made}
    if (schema := params.json_schema) is not None:
        return {"type": "text", "text": json.dumps(SchemaValue(schema).make())}
    return {"type": "text", "text": f"{_LABEL} Answer to {custom_id}."}
