"""For those who watch over the service."""

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.dependencies import Bearer, FromServices, get_operator, is_operator
from api.problems import documented
from shared.errors import ErrorCode as Code
from shared.readiness import Readiness

router = APIRouter(tags=["health"])


class Health(BaseModel):
    alive: bool = True


@router.get("/healthz")
async def get_health() -> Health:
    """The process answers."""
    return Health()


@router.get(
    "/readyz",
    responses={503: {"model": Readiness, "description": "Something is missing"}},
    openapi_extra={"security": [{}]},  # beside the key: none
)
async def get_readiness(
    request: Request, response: Response, services: FromServices, bearer: Bearer
) -> Readiness:
    """Everything a job needs is there: store, storage, dispatcher and both kinds of workers.

    Needs no key; the workers' hosts and models are shown to the operator's keys only.
    """
    readiness = await services.readiness.check()
    if not readiness.ready:
        response.status_code = 503
    if not (readiness.store and await is_operator(request, bearer)):
        return readiness.model_copy(update={"caption_workers": (), "compose_workers": ()})
    return readiness


@router.get(
    "/metrics",
    dependencies=[Depends(get_operator)],
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Prometheus's text format"},
        **documented(Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.SERVICE_UNAVAILABLE),
    },
)
async def get_metrics(services: FromServices) -> Response:
    """Numbers of the whole service, for the operator's keys; any API process has them all."""
    return Response(await services.metrics.render(), media_type=CONTENT_TYPE_LATEST)
