"""The results of single requests: one line for each."""

from typing import Any

from pydantic import ValidationError

from .inputs import BatchedParams, problem

RESULT_LABEL = "[sandbox, no model wrote this]"


def params_fault(params: Any) -> str | None:
    """Return what is wrong with the parameters of one request, or None.

    The API validates these when the request runs; an invalid request ends as errored (batch processing guide).
    """
    try:
        BatchedParams.model_validate(params)
    except ValidationError as error:
        return problem(error)
    return None


def result_line(custom_id: str, outcome: str, params: Any, number: str) -> dict[str, Any]:
    """Build one line of the results (API reference: Retrieve Message Batch results)."""
    result: dict[str, Any] = {"type": outcome}
    if outcome == "succeeded":
        result["message"] = {
            "id": f"msg_01{number}",
            "type": "message",
            "role": "assistant",
            "model": params["model"],
            "content": [{"type": "text", "text": f"{RESULT_LABEL} Answer to {custom_id}."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 12 + len(str(params["messages"])) // 4,
                "output_tokens": 16,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "service_tier": "batch",
            },
        }
    elif outcome == "errored":
        fault = params_fault(params)
        kind, message = "invalid_request_error", fault
        if fault is None:
            kind, message = "api_error", f"{RESULT_LABEL} Internal server error"
        error = {"type": kind, "message": message}
        result["error"] = {"type": "error", "error": error, "request_id": f"req_01{number}"}
    return {"custom_id": custom_id, "result": result}
