"""The sandbox's API: the Message Batches endpoints over an account, and the Messages endpoints over the stand-in.

The API's documentation leaves some cases open. The sandbox decides them so: canceling a canceling batch changes
nothing; canceling an ended batch is an error (or returns the batch, by ``cancel_ended``); a malformed id gets a 404,
like an unknown one; results of a batch that has not ended, and unknown cursors, get a 400.
"""

import json
import re
from collections.abc import AsyncIterator, Collection
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from . import admin, stand_in
from .account import Account, UnknownBatchError, WrongStateError
from .errors import EXCEPTION_HANDLERS, APIError
from .faults import Fault
from .interceptor import Interceptor
from .journal import Journal
from .loopback import LoopbackGuard
from .simulated_batch import DEFAULT_WORKSPACE, LARGEST_BATCH, SimulatedBatch
from .stand_in import STAND_IN_MODEL, RefusedError, StandIn

MOCK_PREFIX = "/rest/anthropic-message-batches-api/1.0.0"
PREFIXES = (f"{MOCK_PREFIX}/v1", MOCK_PREFIX, "/v1")  # of two that begin alike, the longer one first
VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
OTHER_WORKSPACE = "wrkspc_other"

DEFAULT_LIMIT, LARGEST_LIMIT = 20, 1000

CancelEnded = Literal["error", "ok"]

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LINES_PER_CHUNK = 500
_STAND_IN_DESCRIPTION = {
    "type": "model",
    "id": STAND_IN_MODEL,
    "display_name": "Scripted stand-in, not Claude",
    "created_at": "2024-08-20T00:00:00Z",
    "lifecycle": "active",
}


def create_app(
    account: Account,
    *,
    cancel_ended: CancelEnded = "error",
    limit_every: int = 0,
    retry_after: str = "1",
    tell_workspace: bool = True,
    journal: Journal | None = None,
    faults: list[Fault] | None = None,
    hosts: Collection[str] = (),
) -> Starlette:
    """Build the sandbox as an ASGI application.

    Faults that drop the connection need the server that ``Sandbox`` runs.

    Args:
        account: The simulated account.
        cancel_ended: What canceling an ended batch returns: an error, or 200 and the unchanged batch.
        limit_every: Every so many requests, one is answered 429; 0 for none.
        retry_after: The ``retry-after`` header of that response.
        tell_workspace: Whether responses name their workspace, in the header ``anthropic-workspace-id``.
        journal: The journal to which each request to the API is added.
        faults: The faults to inject. More can be appended at any time.
        hosts: Names of this machine, besides the loopback ones, that the ``Host`` header of a request may have.
    """
    journal = Journal() if journal is None else journal
    faults = [] if faults is None else faults
    api = Starlette(
        routes=[Mount(prefix, app=Router(_ROUTES, redirect_slashes=False)) for prefix in PREFIXES],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    api.router.redirect_slashes = False
    api.state.account, api.state.cancel_ended, api.state.stand_in = account, cancel_ended, StandIn()
    api.state.tell_workspace = tell_workspace
    interceptor = Interceptor(
        api, account=account, journal=journal, faults=faults, limit_every=limit_every, retry_after=retry_after
    )
    app = Starlette(
        routes=[Mount("/_sandbox", routes=admin.ROUTES), Mount("/", app=interceptor)],
        middleware=[Middleware(LoopbackGuard, hosts=hosts)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.account, app.state.journal, app.state.faults = account, journal, faults
    return app


class _Endpoint(HTTPEndpoint):
    """One path of the API, for callers with a credential and a version.

    Any credential is accepted. Some have a meaning: ``invalid`` is rejected, ``forbidden`` may not use message
    batches, ``no-credit`` cannot create any, and one that starts with ``other`` belongs to another workspace.
    """

    batches_only = False
    workspace: str

    async def dispatch(self) -> None:
        self.workspace = _authorized_workspace(Request(self.scope), batches_only=self.batches_only)
        if self.scope["app"].state.tell_workspace:
            self.scope["sandbox.workspace"] = self.workspace
        await super().dispatch()

    @property
    def body(self) -> Any:
        """The parsed JSON body; None if it is not valid JSON."""
        return self.scope["sandbox.json"]


class _BatchEndpoint(_Endpoint):
    """One path of the Message Batches API."""

    batches_only = True

    @property
    def account(self) -> Account:
        account: Account = self.scope["app"].state.account
        return account

    def find(self, request: Request) -> SimulatedBatch:
        """Find the batch in the path.

        Raises:
            APIError: The workspace has no such batch.
        """
        batch_id = request.path_params["id"]
        try:
            return self.account.get(batch_id, self.workspace)
        except UnknownBatchError as error:
            raise APIError(404, f"There is no message batch {batch_id} in this workspace.") from error

    def describe(self, batch: SimulatedBatch, request: Request) -> dict[str, Any]:
        """Describe a batch as the API does. Its results lie below the base URL that the client uses."""
        base = f"{request.url.scheme}://{request.url.netloc}{self.scope['root_path']}"
        return batch.describe(self.account.now(), f"{base}/messages/batches/{batch.id}/results")

    def show(self, batch: SimulatedBatch, request: Request) -> Response:
        """Build the response that shows a batch."""
        return JSONResponse(self.describe(batch, request))


class BatchCollection(_BatchEndpoint):
    """All message batches of a workspace."""

    async def get(self, request: Request) -> Response:
        """List message batches."""
        query = request.query_params
        limit = _limit(query.get("limit"))
        cursors = {name: query[name] for name in ("after_id", "before_id") if query.get(name)}
        if len(cursors) == 2:
            raise APIError(400, "after_id, before_id: only one of them can be given.")
        after, before = cursors.get("after_id"), cursors.get("before_id")
        try:
            batches, more = self.account.page(self.workspace, limit=limit, after=after, before=before)
        except UnknownBatchError as error:
            raise APIError(400, f"{next(iter(cursors))}: there is no message batch {error}.") from error
        return JSONResponse(
            {
                "data": [self.describe(batch, request) for batch in batches],
                "has_more": more,
                "first_id": batches[0].id if batches else None,
                "last_id": batches[-1].id if batches else None,
            }
        )

    async def post(self, request: Request) -> Response:
        """Create a message batch."""
        if _credential(request) == "no-credit":
            raise APIError(402, "Your credit balance is too low to create a message batch.")
        return self.show(self.account.create(_batch_requests(self.body), self.workspace), request)


class BatchItem(_BatchEndpoint):
    """One message batch."""

    async def get(self, request: Request) -> Response:
        """Retrieve a message batch."""
        return self.show(self.find(request), request)

    async def delete(self, request: Request) -> Response:
        """Delete a message batch."""
        batch = self.find(request)
        try:
            self.account.delete(batch.id, batch.workspace)
        except WrongStateError as error:
            raise APIError(400, str(error)) from error
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})


class BatchCancel(_BatchEndpoint):
    """The cancellation of a message batch."""

    async def post(self, request: Request) -> Response:
        """Cancel a message batch."""
        batch = self.find(request)
        try:
            self.account.cancel(batch.id, batch.workspace)
        except WrongStateError as error:
            if self.scope["app"].state.cancel_ended == "error":
                raise APIError(400, str(error)) from error
        return self.show(batch, request)


class BatchResults(_BatchEndpoint):
    """The results of a message batch."""

    async def get(self, request: Request) -> Response:
        """Stream the results of a message batch."""
        batch, now = self.find(request), self.account.now()
        if batch.ended_at(now) is None:
            raise APIError(400, f"Message batch {batch.id} has not ended: it has no results yet.")
        if batch.archived_at(now) is not None:
            raise APIError(404, f"The results of message batch {batch.id} are no longer available.")
        return StreamingResponse(_json_lines(batch, now), media_type="application/x-jsonl")


class MessageCollection(_Endpoint):
    """The conversation with the stand-in."""

    async def post(self, request: Request) -> Response:
        """Create a message."""
        scripted: StandIn = self.scope["app"].state.stand_in
        try:
            message = scripted.answer(self.body, self.workspace)
        except RefusedError as error:
            raise APIError(404 if error.unknown_thread else 400, str(error), error.details) from error
        if self.body.get("stream"):
            return StreamingResponse(stand_in.events(message), media_type="text/event-stream")
        return JSONResponse(message)


class TokenCount(_Endpoint):
    """The number of tokens in a request."""

    async def post(self, request: Request) -> Response:
        """Count tokens."""
        return JSONResponse({"input_tokens": stand_in.tokens(self.body)})


class ModelCollection(_Endpoint):
    """All models: the stand-in alone."""

    async def get(self, request: Request) -> Response:
        """List models."""
        only = {"has_more": False, "first_id": STAND_IN_MODEL, "last_id": STAND_IN_MODEL}
        return JSONResponse({"data": [_STAND_IN_DESCRIPTION], **only})


class ModelItem(_Endpoint):
    """One model."""

    async def get(self, request: Request) -> Response:
        """Retrieve a model."""
        if request.path_params["id"] != STAND_IN_MODEL:
            raise APIError(404, f"model: {request.path_params['id']}")
        return JSONResponse(_STAND_IN_DESCRIPTION)


_ROUTES = [
    Route("/messages/batches", BatchCollection),
    Route("/messages/batches/{id}", BatchItem),
    Route("/messages/batches/{id}/cancel", BatchCancel),
    Route("/messages/batches/{id}/results", BatchResults),
    Route("/messages", MessageCollection),
    Route("/messages/count_tokens", TokenCount),
    Route("/models", ModelCollection),
    Route("/models/{id}", ModelItem),
]


def _authorized_workspace(request: Request, *, batches_only: bool) -> str:
    """Return the workspace that a request may use.

    Raises:
        APIError: The request has no valid credential, version or workspace, or no permission for message batches.
    """
    credential = _credential(request)
    if credential == "invalid":
        raise APIError(401, "invalid x-api-key")
    version = request.headers.get("anthropic-version")
    if version is None:
        raise APIError(400, "anthropic-version: header is required")
    if version not in VERSIONS:
        raise APIError(400, f'anthropic-version: "{version}" is not a valid version')
    if batches_only and credential == "forbidden":
        raise APIError(403, "Your API key does not have permission to use message batches.")
    workspace = request.headers.get("anthropic-workspace-id", DEFAULT_WORKSPACE)
    if not workspace.startswith("wrkspc_"):
        raise APIError(400, f'anthropic-workspace-id: "{workspace}" is not the id of a workspace')
    # Such a key belongs to its workspace, whatever the header asks for.
    return OTHER_WORKSPACE if credential.startswith("other") else workspace


def _credential(request: Request) -> str:
    """Return the key or token of a request.

    Raises:
        APIError: The request has no credential, or one in each of the two headers.
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
    """Validate the requests of a new batch. Their parameters are validated when they run.

    Raises:
        APIError: The API would not accept the body (API reference: Create a Message Batch).
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


async def _json_lines(batch: SimulatedBatch, now: float) -> AsyncIterator[str]:
    lines: list[str] = []
    for line in batch.results(now):
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        if len(lines) == _LINES_PER_CHUNK:
            yield "".join(lines)
            lines = []
    yield "".join(lines)
