"""The sandbox's admin API under ``/_sandbox``: what its Python interface can do, for other processes."""

import ipaddress
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.endpoints import HTTPEndpoint
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .account import Account, StartingStatus
from .bodies import read_body, refuse, replaying
from .errors import APIError, error_response
from .faults import Fault
from .journal import Journal
from .simulated_batch import DAY, DEFAULT_WORKSPACE, LARGEST_BATCH

MAX_BODY = 2**20  # bytes

Body = TypeVar("Body")

_MAX_SECONDS = 3650 * DAY


class _Input(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


class _AdvanceInput(_Input):
    seconds: float = Field(ge=0, le=_MAX_SECONDS)


class _AddBatchInput(_Input):
    requests: int = Field(ge=1, le=LARGEST_BATCH)
    age_seconds: float = Field(0.0, ge=0, le=_MAX_SECONDS)
    status: StartingStatus = "in_progress"
    error_every: int = Field(0, ge=0)
    workspace: str = DEFAULT_WORKSPACE


class _AdminEndpoint(HTTPEndpoint):
    """One path of the admin API. Only this machine may use it, since it asks for no credential."""

    async def dispatch(self) -> None:
        client = self.scope["client"]
        if client is None or not ipaddress.ip_address(client[0]).is_loopback:
            raise APIError(403, "The sandbox's admin API can only be used from the same machine.")
        try:
            body = await read_body(self.scope, self.receive, MAX_BODY)
        except ClientDisconnect:
            return
        if body is None:
            too_large = error_response(self.scope, APIError(413, "Request exceeds the maximum size of 1 MiB."))
            await refuse(too_large, self.scope, self.receive, self.send)
            return
        self.receive = replaying(body, self.receive)
        await super().dispatch()

    @property
    def account(self) -> Account:
        account: Account = self.scope["app"].state.account
        return account

    @property
    def journal(self) -> Journal:
        journal: Journal = self.scope["app"].state.journal
        return journal

    @property
    def faults(self) -> list[Fault]:
        faults: list[Fault] = self.scope["app"].state.faults
        return faults


class JournalEndpoint(_AdminEndpoint):
    """The journal."""

    async def get(self, request: Request) -> Response:
        """Return the journal."""
        return JSONResponse([vars(entry) for entry in self.journal])

    async def delete(self, request: Request) -> Response:
        """Clear the journal."""
        self.journal.clear()
        return Response(status_code=204)


class FaultQueueEndpoint(_AdminEndpoint):
    """The queue of faults."""

    async def post(self, request: Request) -> Response:
        """Queue a fault."""
        self.faults.append(await _read(request, TypeAdapter(Fault)))
        return Response(status_code=204)


class ClockEndpoint(_AdminEndpoint):
    """The clock."""

    async def post(self, request: Request) -> Response:
        """Advance the clock."""
        given = await _read(request, TypeAdapter(_AdvanceInput))
        try:
            self.account.advance(given.seconds)
        except ValueError as error:
            raise APIError(400, str(error)) from error
        return JSONResponse({"now": self.account.now()})


class TrueStateEndpoint(_AdminEndpoint):
    """The batches, with what the API does not show."""

    async def get(self, request: Request) -> Response:
        """Return the true state of every batch."""
        now = self.account.now()
        return JSONResponse(
            [
                {
                    "id": batch.id,
                    "workspace": batch.workspace,
                    "processing_status": batch.status(now),
                    "requests": batch.size,
                    "completed": batch.completed(now),
                    "age_seconds": now - batch.created,
                    "canceled": batch.cancel_at is not None,
                }
                for batch in self.account.batches()
            ]
        )

    async def post(self, request: Request) -> Response:
        """Add a batch."""
        given = await _read(request, TypeAdapter(_AddBatchInput))
        try:
            batch_id = self.account.add(
                given.requests,
                given.age_seconds,
                given.status,
                error_every=given.error_every,
                workspace=given.workspace,
            )
        except ValueError as error:
            raise APIError(400, str(error)) from error
        return JSONResponse({"id": batch_id})


ROUTES = [
    Route("/requests", JournalEndpoint),
    Route("/faults", FaultQueueEndpoint),
    Route("/advance", ClockEndpoint),
    Route("/batches", TrueStateEndpoint),
]


async def _read(request: Request, adapter: TypeAdapter[Body]) -> Body:
    """Read and validate the JSON body of a request.

    Raises:
        APIError: The body is not valid.
    """
    try:
        return adapter.validate_json(await request.body())
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        raise APIError(400, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
