"""The API's error envelope (API reference: Errors)."""

from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class APIError(Exception):
    """An answer that is an error.

    Args:
        status: The HTTP status; it decides the error's type.
        message: What is wrong, for people.
        details: The envelope's ``error.details``, where a program needs to tell errors apart.
    """

    def __init__(self, status: int, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.details = details


def error_answer(scope: Scope, error: APIError, headers: dict[str, str] | None = None) -> JSONResponse:
    """Build the answer that tells an error."""
    kind = TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    described: dict[str, Any] = {"type": kind, "message": str(error)}
    if error.details is not None:
        described["details"] = error.details
    envelope = {"type": "error", "error": described, "request_id": scope.get("sandbox.request_id")}
    return JSONResponse(envelope, error.status, headers)
