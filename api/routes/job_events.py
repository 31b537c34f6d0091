"""A job's changes as they happen."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Response

from api.dependencies import BaseUrl, FromServices, Tenant
from api.event_stream import KEEP_ALIVE, MEDIA_TYPE, RECONNECT_MILLISECONDS, EventStream, event
from api.job_events import JobEvents
from api.job_service import checked_id
from api.problems import documented
from shared.errors import ErrorCode as Code
from shared.job_news import EventId
from shared.job_view import job_progress, job_view

router = APIRouter(prefix="/v1/jobs/{job_id}/events", tags=["jobs"])

_EXAMPLE = """\
retry: 2000

id: 1763909549123-0
event: job
data: {"id": "019ab0de-...", "status": "queued", ...}

id: 1763909550417-0
event: progress
data: {"status": "running", "progress": {"stage": "captioning", "done": 16, "total": 40}}

: alive

id: 1763909556002-0
event: job
data: {"id": "019ab0de-...", "status": "succeeded", ...}
"""


@router.get(
    "",
    response_class=Response,
    responses={
        200: {
            "description": "`job`, the whole job, at first and when it is over; `progress` between",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        204: {"description": "The job is over, and the caller knows: there is no need to return"},
        **documented(
            Code.JOB_NOT_FOUND,
            Code.JOB_EXPIRED,
            Code.QUOTA_EXCEEDED,
            Code.RATE_LIMITED,
            Code.SERVICE_FULL,
            Code.SERVICE_UNAVAILABLE,
        ),
    },
)
async def follow_job(
    job_id: str,
    services: FromServices,
    tenant: Tenant,
    base_url: BaseUrl,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="Go on behind this event"),
    ] = None,
) -> Response:
    """Server-sent events until the job is over; mere progress once a second at most."""
    after = EventId.parse(last_event_id)
    if not await services.events.check(tenant, checked_id(job_id), after):
        return Response(status_code=204)
    return EventStream(_encoded(services.events, tenant, job_id, after, base_url))


async def _encoded(
    events: JobEvents, tenant: str, job_id: str, after: EventId | None, base_url: str
) -> AsyncGenerator[str, None]:
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n"
    async with aclosing(events.follow(tenant, job_id, after)) as changes:
        async for change in changes:
            if change is None:
                yield KEEP_ALIVE
            elif change.is_whole:
                yield event("job", job_view(change.record, base_url).model_dump_json(), change.id)
            else:
                yield event("progress", job_progress(change.record).model_dump_json(), change.id)
