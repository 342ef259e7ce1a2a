"""The sandbox's API: the Message Batches operations over an account, and the Messages API over the stand-in.

What the API's documentation leaves open is decided here: a cancel of a canceling batch changes nothing; a cancel of
an ended one is refused (or answered with the batch, by ``cancel_ended``); a malformed id answers like an unknown one,
404; results before the end and an unknown cursor are invalid requests, 400.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from . import stand_in
from .account import DEFAULT_WORKSPACE, LARGEST_BATCH, Account, Batch, UnknownBatchError, WrongStateError
from .control import control_routes
from .envelope import APIError, error_answer
from .routing import Endpoint, route
from .stand_in import MODEL, RefusedError, StandIn
from .wire import Exchange, Fault, Wire

MOCK = "/rest/anthropic-message-batches-api/1.0.0"
MOUNTS = (f"{MOCK}/v1", MOCK, "/v1")  # the longer of two that begin alike first
VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
OTHER_WORKSPACE = "wrkspc_other"

DEFAULT_LIMIT, LARGEST_LIMIT = 20, 1000

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LINES_AT_ONCE = 500

CancelEnded = Literal["error", "ok"]


def create_app(
    account: Account,
    *,
    cancel_ended: CancelEnded = "error",
    limit_every: int = 0,
    retry_after: str = "1",
    journal: list[Exchange] | None = None,
    faults: list[Fault] | None = None,
) -> Starlette:
    """Build the sandbox as an ASGI application.

    Faults that drop the connection need the server that ``Sandbox`` runs.

    Args:
        account: The simulated account.
        cancel_ended: What a cancel of an ended batch gets: an error, or 200 and the batch as it is.
        limit_every: Every how many requests one is answered 429; 0 for none.
        retry_after: What that answer's ``retry-after`` says.
        journal: Where every exchange with the API is written down.
        faults: Faults to play; more can be appended at any time.
    """
    journal = [] if journal is None else journal
    faults = [] if faults is None else faults
    operations = _Operations(account, cancel_ended).routes()
    api = Starlette(
        routes=[Mount(path, app=Router(operations, redirect_slashes=False)) for path in MOUNTS],
        exception_handlers=_ERRORS,
    )
    api.router.redirect_slashes = False
    wire = Wire(api, account=account, journal=journal, faults=faults, limit_every=limit_every, retry_after=retry_after)
    return Starlette(
        routes=[Mount("/_sandbox", routes=control_routes(account, journal, faults)), Mount("/", app=wire)],
        exception_handlers=_ERRORS,
    )


class _Operations:
    """The operations of the API."""

    def __init__(self, account: Account, cancel_ended: CancelEnded) -> None:
        self._account = account
        self._cancel_ended = cancel_ended
        self._stand_in = StandIn()

    def routes(self) -> list[Route]:
        batches, batch = "/messages/batches", "/messages/batches/{id}"
        return [
            route(batches, GET=_for_batches(self.list_batches), POST=_for_batches(self.create)),
            route(batch, GET=_for_batches(self.retrieve), DELETE=_for_batches(self.delete)),
            route(f"{batch}/cancel", POST=_for_batches(self.cancel)),
            route(f"{batch}/results", GET=_for_batches(self.results)),
            route("/messages", POST=_guarded(self.message)),
            route("/messages/count_tokens", POST=_guarded(self.count_tokens)),
            route("/models", GET=_guarded(self.list_models)),
            route("/models/{id}", GET=_guarded(self.retrieve_model)),
        ]

    async def create(self, request: Request) -> Response:
        if _credential(request) == "no-credit":
            raise APIError(402, "Your credit balance is too low to create a message batch.")
        requests = _batch_requests(request.scope["sandbox.json"])
        return self._show(self._account.create(requests, request.state.workspace), request)

    async def list_batches(self, request: Request) -> Response:
        query = request.query_params
        limit = _limit(query.get("limit"))
        cursors = {name: query[name] for name in ("after_id", "before_id") if query.get(name)}
        if len(cursors) == 2:
            raise APIError(400, "after_id, before_id: only one of them can be given.")
        workspace = request.state.workspace
        after, before = cursors.get("after_id"), cursors.get("before_id")
        try:
            batches, more = self._account.page(workspace, limit=limit, after=after, before=before)
        except UnknownBatchError as error:
            raise APIError(400, f"{next(iter(cursors))}: there is no message batch {error}.") from error
        return JSONResponse(
            {
                "data": [self._describe(batch, request) for batch in batches],
                "has_more": more,
                "first_id": batches[0].id if batches else None,
                "last_id": batches[-1].id if batches else None,
            }
        )

    async def retrieve(self, request: Request) -> Response:
        return self._show(self._batch(request), request)

    async def cancel(self, request: Request) -> Response:
        batch = self._batch(request)
        try:
            self._account.cancel(batch.id, batch.workspace)
        except WrongStateError as error:
            if self._cancel_ended == "error":
                raise APIError(400, str(error)) from error
        return self._show(batch, request)

    async def delete(self, request: Request) -> Response:
        batch = self._batch(request)
        try:
            self._account.delete(batch.id, batch.workspace)
        except WrongStateError as error:
            raise APIError(400, str(error)) from error
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})

    async def results(self, request: Request) -> Response:
        batch, now = self._batch(request), self._account.now()
        if batch.ended_at(now) is None:
            raise APIError(400, f"Message batch {batch.id} has not ended: it has no results yet.")
        if batch.archived_at(now) is not None:
            raise APIError(404, f"The results of message batch {batch.id} are no longer available.")
        return StreamingResponse(_json_lines(batch, now), media_type="application/x-jsonl")

    async def message(self, request: Request) -> Response:
        body = request.scope["sandbox.json"]
        try:
            message = self._stand_in.answer(body, request.state.workspace)
        except RefusedError as error:
            raise APIError(404 if error.unknown_thread else 400, str(error), error.details) from error
        if body.get("stream"):
            return StreamingResponse(stand_in.events(message), media_type="text/event-stream")
        return JSONResponse(message)

    async def count_tokens(self, request: Request) -> Response:
        return JSONResponse({"input_tokens": stand_in.tokens(request.scope["sandbox.json"])})

    async def list_models(self, request: Request) -> Response:  # noqa: ARG002 - an endpoint
        return JSONResponse({"data": [_MODEL], "has_more": False, "first_id": MODEL, "last_id": MODEL})

    async def retrieve_model(self, request: Request) -> Response:
        if request.path_params["id"] != MODEL:
            raise APIError(404, f"model: {request.path_params['id']}")
        return JSONResponse(_MODEL)

    def _batch(self, request: Request) -> Batch:
        batch_id = request.path_params["id"]
        try:
            return self._account.get(batch_id, request.state.workspace)
        except UnknownBatchError as error:
            raise APIError(404, f"There is no message batch {batch_id} in this workspace.") from error

    def _show(self, batch: Batch, request: Request) -> Response:
        return JSONResponse(self._describe(batch, request))

    def _describe(self, batch: Batch, request: Request) -> dict[str, Any]:
        """Describe a batch to a client: its results lie below the base URL that the client uses."""
        base = f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}"
        return batch.describe(self._account.now(), f"{base}/messages/batches/{batch.id}/results")


_MODEL = {
    "type": "model",
    "id": MODEL,
    "display_name": "Scripted stand-in, not Claude",
    "created_at": "2024-08-20T00:00:00Z",
    "lifecycle": "active",
}


def _for_batches(endpoint: Endpoint) -> Endpoint:
    """Let only those to an endpoint who may use message batches."""
    return _guarded(endpoint, batches=True)


def _guarded(endpoint: Endpoint, *, batches: bool = False) -> Endpoint:
    """Let only those to an endpoint who may use it.

    Any credential will do, but for those with a meaning: ``invalid`` is none, ``forbidden`` may not use message
    batches, ``no-credit`` cannot create any, and one that starts with ``other`` belongs to another workspace.
    """

    async def guarded(request: Request) -> Response:
        credential = _credential(request)
        if credential == "invalid":
            raise APIError(401, "invalid x-api-key")
        version = request.headers.get("anthropic-version")
        if version is None:
            raise APIError(400, "anthropic-version: header is required")
        if version not in VERSIONS:
            raise APIError(400, f'anthropic-version: "{version}" is not a valid version')
        if batches and credential == "forbidden":
            raise APIError(403, "Your API key does not have permission to use message batches.")
        workspace = request.headers.get("anthropic-workspace-id", DEFAULT_WORKSPACE)
        if not workspace.startswith("wrkspc_"):
            raise APIError(400, f'anthropic-workspace-id: "{workspace}" is not the id of a workspace')
        # Such a key belongs to its workspace, whatever the header asks for.
        request.state.workspace = OTHER_WORKSPACE if credential.startswith("other") else workspace
        return await endpoint(request)

    return guarded


def _credential(request: Request) -> str:
    """Return the key or token of a request.

    Raises:
        APIError: There is none, or one in each of the two headers.
    """
    key = request.headers.get("x-api-key", "").strip()
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    if key and token:
        raise APIError(401, "Send either the x-api-key header or the Authorization header, not both.")
    if not key and not token:
        raise APIError(401, "x-api-key header is required")
    return key or token


def _limit(given: str | None) -> int:
    if given is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[+-]?\d{1,9}", given, re.ASCII):
        raise APIError(400, "limit: Input should be a valid integer")
    if not 1 <= int(given) <= LARGEST_LIMIT:
        raise APIError(400, f"limit: Input should be from 1 to {LARGEST_LIMIT}")
    return int(given)


def _batch_requests(body: Any) -> list[dict[str, Any]]:
    """Check what a batch is to be created of. The parameters of its requests are looked at when they run.

    Raises:
        APIError: It is not what the API takes (API reference: Create a Message Batch).
    """
    if not isinstance(body, dict):
        raise APIError(400, "The request body is not valid JSON, or not an object.")
    requests = body.get("requests")
    if not isinstance(requests, list):
        raise APIError(400, "requests: a list is required")
    if not 1 <= len(requests) <= LARGEST_BATCH:
        raise APIError(400, f"requests: from 1 to {LARGEST_BATCH} requests are required, not {len(requests)}")
    seen: set[str] = set()
    for index, request in enumerate(requests):
        if not isinstance(request, dict):
            raise APIError(400, f"requests.{index}: Input should be an object")
        custom_id = request.get("custom_id")
        if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
            raise APIError(400, f"requests.{index}.custom_id: String should match pattern '^{_CUSTOM_ID.pattern}$'")
        if custom_id in seen:
            raise APIError(400, f"requests.{index}.custom_id: '{custom_id}' is not unique in the batch")
        if not isinstance(request.get("params"), dict):
            raise APIError(400, f"requests.{index}.params: an object is required")
        seen.add(custom_id)
    return requests


async def _json_lines(batch: Batch, now: float) -> AsyncIterator[str]:
    lines: list[str] = []
    for line in batch.results(now):
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        if len(lines) == _LINES_AT_ONCE:
            yield "".join(lines)
            lines = []
    yield "".join(lines)


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, APIError):  # which Starlette's type of a handler cannot say
        raise error
    return error_answer(request.scope, error)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what no route takes."""
    if not isinstance(error, HTTPException):
        raise error
    message = "Method not allowed" if error.status_code == 405 else f"Not found: {request.url.path}"
    return error_answer(request.scope, APIError(error.status_code, message), dict(error.headers or {}))


async def _answer_unexpected_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the server logs it
    """Answer what is a fault of the sandbox itself, as the API does with its own."""
    request_id = request.scope.setdefault("sandbox.request_id", "req_01sandboxcontrol")
    answer = APIError(500, "Internal error of the sandbox; its output says more.")
    return error_answer(request.scope, answer, {"request-id": request_id})


_ERRORS = {APIError: _answer_error, HTTPException: _answer_http_error, Exception: _answer_unexpected_error}
