"""The results of single requests: one line for each."""

from typing import Any

RESULT_LABEL = "[sandbox, no model wrote this]"


def params_fault(params: Any) -> str | None:
    """Return what is wrong with the parameters of one request, or None.

    The API validates these when the request runs; an invalid request ends as errored (batch processing guide).
    """
    if not isinstance(params, dict):
        return "params: Input should be an object"
    model, max_tokens, messages = (params.get(name) for name in ("model", "max_tokens", "messages"))
    for name, value in (("model", model), ("max_tokens", max_tokens), ("messages", messages)):
        if value is None:
            return f"{name}: Field required"
    if not isinstance(model, str) or not model:
        return "model: Input should be the id of a model"
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        return "max_tokens: Input should be an integer of at least 1"
    temperature = params.get("temperature")
    if temperature is not None and (not isinstance(temperature, int | float) or isinstance(temperature, bool)):
        return "temperature: Input should be a number"
    if params.get("stream"):
        return "stream: is not supported in message batches"
    return _messages_fault(messages)


def _messages_fault(messages: Any) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in {"user", "assistant", "system"}:
            return f"messages.{index}.role: Input should be user or assistant"
        content = message.get("content")
        blocks = isinstance(content, list) and all(isinstance(block, dict) for block in content)
        if not content or not (blocks or isinstance(content, str)):
            return f"messages.{index}.content: Input should be a text or a list of content blocks"
    return None


def result_line(custom_id: str, outcome: str, params: Any, number: str) -> dict[str, Any]:
    """Build one line of the results (API reference: Retrieve Message Batch results).

    Args:
        custom_id: The id that the client gave to the request.
        outcome: succeeded, errored, canceled or expired.
        params: The request's parameters.
        number: Letters and digits, unique to this request, for the ids in the line.
    """
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
        error = (
            {"type": "invalid_request_error", "message": fault}
            if fault
            else {"type": "api_error", "message": f"{RESULT_LABEL} Internal server error"}
        )
        result["error"] = {"type": "error", "error": error, "request_id": f"req_01{number}"}
    return {"custom_id": custom_id, "result": result}
