"""The sandbox's API: the Message Batches endpoints over an account, and the Messages endpoints over the stand-in.

The API's documentation leaves some cases open. The sandbox decides them as follows: canceling a canceling batch changes
nothing; canceling an ended batch is an error (or returns the batch, by ``cancel_ended``); a malformed id gets a 404,
like an unknown one; results of a batch that has not ended, and unknown cursors, get a 400; a listing continues from the
place of a batch that was deleted.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from . import admin, stand_in
from .account import Account
from .errors import EXCEPTION_HANDLERS, APIError
from .faults import Fault
from .front_page import front_page
from .inputs import ListQuery, NewBatch, TokenCountRequest, accepted
from .interceptor import ADMIN_PREFIX
from .journal import Journal
from .simulated_batch import DEFAULT_WORKSPACE, SimulatedBatch
from .stand_in import STAND_IN_MODEL, StandIn

MOCK_PREFIX = "/rest/anthropic-message-batches-api/1.0.0"
PREFIXES = (f"{MOCK_PREFIX}/v1", MOCK_PREFIX, "/v1")  # a prefix of another one comes after it
VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
OTHER_WORKSPACE = "wrkspc_other"

CancelEnded = Literal["error", "ok"]

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
    journal: Journal,
    faults: list[Fault],
    fail: Callable[[Fault], None],
    *,
    key: str | None,
    cancel_ended: CancelEnded,
    workspace_header: bool,
) -> Starlette:
    """Build the API and the admin API. The options are those of ``Sandbox``."""
    mounts = {ADMIN_PREFIX: admin.ROUTES, **dict.fromkeys(PREFIXES, _ROUTES)}
    app = Starlette(
        routes=[Route("/", front_page)]
        + [Mount(prefix, Router(routes, redirect_slashes=False)) for prefix, routes in mounts.items()],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.account, app.state.journal = account, journal
    app.state.faults, app.state.fail = faults, fail
    app.state.key, app.state.cancel_ended, app.state.workspace_header, app.state.stand_in = (
        key,
        cancel_ended,
        workspace_header,
        StandIn(),
    )
    return app


class _Endpoint(HTTPEndpoint):
    """One path of the API, for callers with a credential and a version.

    Without a key of its own the sandbox accepts any credential. Some have a meaning: ``invalid`` is rejected,
    ``forbidden`` may not use message batches, ``no-credit`` cannot create any, and one that starts with ``other``
    belongs to another workspace.
    """

    async def dispatch(self) -> None:
        self.state, self.body = self.scope["app"].state, self.scope["sandbox.json"]
        self.account: Account = self.state.account
        request = Request(self.scope)
        self.credential = _credential(request)
        if self.state.key is not None:
            if self.credential != self.state.key:
                raise APIError(401, "invalid x-api-key")
            self.credential = ""  # it has no other meaning
        self.workspace = _workspace(request, self.credential)
        if self.state.workspace_header:
            self.scope["sandbox.workspace"] = self.workspace
        await super().dispatch()

    @property
    def batch(self) -> SimulatedBatch:
        """The batch in the path."""
        return self.account.get(self.scope["path_params"]["id"], self.workspace)

    def describe(self, batch: SimulatedBatch, request: Request) -> dict[str, Any]:
        """Describe a batch as the API does. Its results lie below the base URL that the client uses."""
        base = f"{request.url.scheme}://{request.url.netloc}{self.scope['root_path']}"
        return batch.describe(self.account.now(), f"{base}/messages/batches/{batch.id}/results")


class _Batches(_Endpoint):
    async def get(self, request: Request) -> Response:
        query = accepted(ListQuery, dict(request.query_params))
        try:
            batches, more = self.account.page(
                self.workspace, limit=query.limit, after=query.after_id or None, before=query.before_id or None
            )
        except APIError as error:
            cursor = "after_id" if query.after_id else "before_id"
            raise APIError(400, f"{cursor}: {error}") from error
        return JSONResponse(_page([self.describe(batch, request) for batch in batches], more=more))

    async def post(self, request: Request) -> Response:
        if self.credential == "no-credit":
            raise APIError(402, "Your credit balance is too low to create a message batch.")
        accepted(NewBatch, self.body)
        return JSONResponse(self.describe(self.account.create(self.body["requests"], self.workspace), request))


class _Batch(_Endpoint):
    async def get(self, request: Request) -> Response:
        return JSONResponse(self.describe(self.batch, request))

    async def delete(self, request: Request) -> Response:
        batch = self.batch
        self.account.delete(batch.id, batch.workspace)
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})


class _Cancel(_Endpoint):
    async def post(self, request: Request) -> Response:
        batch = self.batch
        try:
            self.account.cancel(batch.id, batch.workspace)
        except APIError:
            if self.state.cancel_ended == "error":
                raise
        return JSONResponse(self.describe(batch, request))


class _Results(_Endpoint):
    async def get(self, request: Request) -> Response:
        batch, now = self.batch, self.account.now()
        if batch.ended_at(now) is None:
            raise APIError(400, f"Message batch {batch.id} has not ended: it has no results yet.")
        if batch.archived_at(now) is not None:
            raise APIError(404, f"The results of message batch {batch.id} are no longer available.")
        return StreamingResponse(_json_lines(batch, now), media_type="application/x-jsonl")


class _Messages(_Endpoint):
    async def post(self, request: Request) -> Response:
        message = self.state.stand_in.answer(self.body, self.workspace)
        if self.body.get("stream"):
            return StreamingResponse(stand_in.events(message), media_type="text/event-stream")
        return JSONResponse(message)


class _TokenCount(_Endpoint):
    async def post(self, request: Request) -> Response:
        accepted(TokenCountRequest, self.body)
        return JSONResponse({"input_tokens": stand_in.tokens(self.body)})


class _Models(_Endpoint):
    async def get(self, request: Request) -> Response:
        model = request.path_params.get("id")
        if model is None:
            return JSONResponse(_page([_STAND_IN_DESCRIPTION], more=False))
        if model != STAND_IN_MODEL:
            raise APIError(404, f"model: {model}")
        return JSONResponse(_STAND_IN_DESCRIPTION)


_ROUTES = [
    Route("/messages/batches", _Batches),
    Route("/messages/batches/{id}", _Batch),
    Route("/messages/batches/{id}/cancel", _Cancel),
    Route("/messages/batches/{id}/results", _Results),
    Route("/messages", _Messages),
    Route("/messages/count_tokens", _TokenCount),
    Route("/models", _Models),
    Route("/models/{id}", _Models),
]


def _workspace(request: Request, credential: str) -> str:
    """Return the workspace that a request may use."""
    if credential == "invalid":
        raise APIError(401, "invalid x-api-key")
    version = request.headers.get("anthropic-version")
    if version is None:
        raise APIError(400, "anthropic-version: header is required")
    if version not in VERSIONS:
        raise APIError(400, f'anthropic-version: "{version}" is not a valid version')
    if credential == "forbidden" and "/messages/batches" in request.url.path:
        raise APIError(403, "Your API key does not have permission to use message batches.")
    workspace = request.headers.get("anthropic-workspace-id", DEFAULT_WORKSPACE)
    if not workspace.startswith("wrkspc_"):
        raise APIError(400, f'anthropic-workspace-id: "{workspace}" is not the id of a workspace')
    # Such a key belongs to its own workspace, whatever the header says.
    return OTHER_WORKSPACE if credential.startswith("other") else workspace


def _credential(request: Request) -> str:
    """Return the key or token of a request."""
    key = request.headers.get("x-api-key", "").strip()
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    if key and token:
        raise APIError(401, "Send either the x-api-key header or the Authorization header, not both.")
    if not key and not token:
        raise APIError(401, "x-api-key header is required")
    return key or token


def _page(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"data": data, "has_more": more, **ends}


async def _json_lines(batch: SimulatedBatch, now: float) -> AsyncIterator[str]:
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in batch.results(now))
    while chunk := "".join(islice(lines, _LINES_PER_CHUNK)):
        yield chunk
        await asyncio.sleep(0)  # other requests come in between, however fast the client reads
