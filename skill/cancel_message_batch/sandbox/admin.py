"""The sandbox's own HTTP interface: what its Python interface can do, for other processes."""

import ipaddress
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .account import DAY, DEFAULT_WORKSPACE, LARGEST_BATCH, Account, Status
from .envelope import APIError
from .routing import Endpoint, route
from .wire import Exchange, Fault

Model = TypeVar("Model")


_LONGEST = 3650 * DAY


class _Given(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Advance(_Given):
    seconds: float = Field(ge=0, le=_LONGEST)


class _Add(_Given):
    requests: int = Field(ge=1, le=LARGEST_BATCH)
    age_seconds: float = Field(0.0, ge=0, le=_LONGEST)
    status: Status = "in_progress"
    error_every: int = Field(0, ge=0)
    workspace: str = DEFAULT_WORKSPACE


def control_routes(account: Account, journal: list[Exchange], faults: list[Fault]) -> list[Route]:
    """Build the routes: the journal, faults, the clock, and the batches as they truly are."""

    async def read_journal(request: Request) -> Response:  # noqa: ARG001 - an endpoint
        return JSONResponse([vars(exchange) for exchange in journal])

    async def clear_journal(request: Request) -> Response:  # noqa: ARG001 - an endpoint
        journal.clear()
        return Response(status_code=204)

    async def add_fault(request: Request) -> Response:
        faults.append(await _read(request, TypeAdapter(Fault)))
        return Response(status_code=204)

    async def advance(request: Request) -> Response:
        given = await _read(request, TypeAdapter(_Advance))
        try:
            account.advance(given.seconds)
        except ValueError as error:
            raise APIError(400, str(error)) from error
        return JSONResponse({"now": account.now()})

    async def add_batch(request: Request) -> Response:
        given = await _read(request, TypeAdapter(_Add))
        try:
            batch_id = account.add(
                given.requests,
                given.age_seconds,
                given.status,
                error_every=given.error_every,
                workspace=given.workspace,
            )
        except ValueError as error:
            raise APIError(400, str(error)) from error
        return JSONResponse({"id": batch_id})

    async def read_batches(request: Request) -> Response:  # noqa: ARG001 - an endpoint
        now = account.now()
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
                for batch in account.batches()
            ]
        )

    return [
        route("/requests", GET=_from_here(read_journal), DELETE=_from_here(clear_journal)),
        route("/faults", POST=_from_here(add_fault)),
        route("/advance", POST=_from_here(advance)),
        route("/batches", GET=_from_here(read_batches), POST=_from_here(add_batch)),
    ]


def _from_here(endpoint: Endpoint) -> Endpoint:
    """Let only this machine to an endpoint: nothing asks for a credential there."""

    async def checked(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            raise APIError(403, "The sandbox is controlled from its own machine only.")
        return await endpoint(request)

    return checked


async def _read(request: Request, adapter: TypeAdapter[Model]) -> Model:
    try:
        return adapter.validate_json(await request.body())
    except ValidationError as error:
        fault: Any = error.errors(include_url=False)[0]
        raise APIError(400, f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from error
