"""The sandbox's error responses, in the API's envelope (API reference: Errors)."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class APIError(Exception):
    """An error that the API returns for a request."""

    def __init__(self, status: int, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.details = details


def error_response(scope: Scope, error: APIError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Build the response for an error."""
    return JSONResponse(described_error(error, scope["sandbox.request_id"]), error.status, headers)


def described_error(error: APIError, request_id: str) -> dict[str, Any]:
    """Describe an error as the API does."""
    kind = ERROR_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    described: dict[str, Any] = {"type": kind, "message": str(error)}
    if error.details is not None:
        described["details"] = error.details
    return {"type": "error", "error": described, "request_id": request_id}


async def _handle(request: Request, error: Exception) -> Response:
    """Respond as the API does to an error, an unknown path, a wrong method, or a bug in the sandbox."""
    if isinstance(error, HTTPException):
        message = "Method not allowed" if error.status_code == 405 else f"Not found: {request.url.path}"
        return error_response(request.scope, APIError(error.status_code, message), error.headers)
    if not isinstance(error, APIError):
        error = APIError(500, "Internal error of the sandbox. Its output has the details.")
    return error_response(request.scope, error)


EXCEPTION_HANDLERS = dict.fromkeys((APIError, HTTPException, Exception), _handle)
