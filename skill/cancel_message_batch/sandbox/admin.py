"""The sandbox's admin API under ``/_sandbox``: what its Python interface can do, for other processes."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .account import LONGEST, AddedBatch
from .errors import APIError
from .faults import fields_of, make_fault
from .inputs import accepted


class _Advance(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    seconds: float = Field(ge=0, le=LONGEST)


class _Endpoint(HTTPEndpoint):
    """One path of the admin API."""

    async def dispatch(self) -> None:
        self.state, self.body = self.scope["app"].state, self.scope["sandbox.json"]
        try:
            await super().dispatch()
        except ValueError as error:  # the account cannot do this
            raise APIError(400, str(error)) from error


class _Requests(_Endpoint):
    async def get(self, request: Request) -> Response:
        return JSONResponse([vars(entry) for entry in self.state.journal])

    async def delete(self, request: Request) -> Response:
        self.state.journal.clear()
        return Response(status_code=204)


class _Faults(_Endpoint):
    async def get(self, request: Request) -> Response:
        return JSONResponse([fields_of(fault) for fault in self.state.faults])

    async def delete(self, request: Request) -> Response:
        del self.state.faults[:]  # clear() waits for the event loop, which this runs in
        return Response(status_code=204)

    async def post(self, request: Request) -> Response:
        if not isinstance(self.body, dict):
            raise ValueError("the fault is not a JSON object")
        fault = make_fault(self.body)
        if fault.at_once:  # after the response, whose connection it closes
            return Response(status_code=204, background=BackgroundTask(self.state.fail, fault))
        self.state.fail(fault)
        return Response(status_code=204)


class _Clock(_Endpoint):
    async def post(self, request: Request) -> Response:
        self.state.account.advance(accepted(_Advance, self.body).seconds)
        return JSONResponse({"now": self.state.account.now()})


class _TrueStates(_Endpoint):
    """The batches, with facts that the API does not show."""

    async def get(self, request: Request) -> Response:
        now = self.state.account.now()
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
                for batch in self.state.account.batches()
            ]
        )

    async def post(self, request: Request) -> Response:
        return JSONResponse({"id": self.state.account.add(**vars(accepted(AddedBatch, self.body)))})


class _End(_Endpoint):
    async def post(self, request: Request) -> Response:
        self.state.account.finish(request.path_params["id"])
        return Response(status_code=204)


ROUTES = [
    Route("/requests", _Requests),
    Route("/faults", _Faults),
    Route("/advance", _Clock),
    Route("/batches", _TrueStates),
    Route("/batches/{id}/finish", _End),
]
