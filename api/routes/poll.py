"""How far a job is: what clients ask again and again, so it answers faster than all else."""

import hashlib
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from api.access import REFUSALS
from api.dependencies import get_base_url, get_services, get_tenant, tenant_of
from api.problems import documented
from api.response_headers import POLL_SECONDS, header_docs, is_known
from shared.errors import ErrorCode as Code
from shared.job_record import StoredJob
from shared.job_view import job_view
from shared.schemas import Job


class _DirectRoute(APIRoute):
    """Hands the request to its endpoint: for FastAPI to solve the dependencies that other routes
    have takes longer than the answer. They are declared for the OpenAPI document alone.

    The application has its routes rather than the router: an included one is searched twice.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


router = APIRouter(
    prefix="/v1/jobs",
    tags=["jobs"],
    route_class=_DirectRoute,
    dependencies=[Depends(get_tenant)],
    responses=documented(*REFUSALS),
)


@router.get(
    "/{job_id}",
    response_model=Job,
    responses={
        200: {
            "description": "The job; without `Retry-After` it is over",
            "headers": header_docs("ETag", "Retry-After"),
        },
        304: {
            "description": "The caller has this answer already",
            "headers": header_docs("ETag", "Retry-After"),
        },
        **documented(Code.JOB_NOT_FOUND, Code.JOB_EXPIRED),
    },
    openapi_extra={
        "parameters": [
            {
                "name": "job_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "title": "Job Id"},
            },
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "description": "An `ETag` of this job",
                "schema": {
                    "anyOf": [{"type": "string"}, {"type": "null"}],
                    "title": "If-None-Match",
                },
            },
        ]
    },
)
async def get_job(request: Request) -> Response:
    """How far a job is. `Retry-After` says when to ask again; it is absent once the job ended."""
    services = await get_services(request)
    tenant = await tenant_of(request)
    stored = await services.jobs.get_stored(tenant, request.path_params["job_id"])
    etag, whole, unchanged = _answers(stored, await get_base_url(request))
    return unchanged if is_known(etag, request.headers.get("if-none-match")) else whole


@lru_cache(256)
def _answers(stored: StoredJob, base_url: str) -> tuple[str, Response, Response]:
    """The `ETag`, the answer to those who do not have it yet, and the one to those who do.

    Most polls find the job as it was, and what is stored tells that without being read.
    """
    record = stored.record()
    body = job_view(record, base_url).model_dump_json().encode()
    # Of the answer itself: the place in the queue changes without the job.
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if not record.status.is_terminal:
        headers["Retry-After"] = str(POLL_SECONDS)
    whole = Response(body, headers=headers, media_type="application/json")
    return etag, whole, Response(status_code=304, headers=headers)
