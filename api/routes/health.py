"""For those who watch over the service."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.dependencies import FromServices
from api.readiness import Readiness

router = APIRouter(tags=["health"])


class Health(BaseModel):
    alive: bool = True


@router.get("/healthz")
async def get_health() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Something is missing"}})
async def get_readiness(response: Response, services: FromServices) -> Readiness:
    """Everything a job needs is there: store, storage, dispatcher and both kinds of workers."""
    readiness = await services.readiness.check()
    if not readiness.ready:
        response.status_code = 503
    return readiness
