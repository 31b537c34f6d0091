"""Submit jobs and watch them."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from api.dependencies import BaseUrl, Body, Cursor, FromServices, IdempotencyKeyHeader, Tenant
from api.job_example import unfinished_job
from api.multipart_stream import MULTIPART, media_type
from api.openapi import json_body, multipart_body
from api.problems import documented
from api.request_headers import CancelAfter, Wait
from api.response_headers import POLL_SECONDS, header_docs
from api.submission_readers import json_reader, multipart_reader
from shared.errors import ErrorCode as Code
from shared.job_view import job_summary, job_view
from shared.schemas import Job, JobList, JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_file = {"type": "string", "format": "binary"}
_submission = json_body("JobRequest") | multipart_body(
    {
        "spec": {"$ref": "#/components/schemas/JobSpec"},
        "images": {"type": "array", "items": _file},
        "csv": _file,
    },
    required=["images"],
)


@router.post(
    "",
    status_code=202,
    responses={
        200: {
            "model": Job,
            "description": "The job is over: it ended within the time of `Prefer: wait=N`",
            "headers": header_docs("Location", "Preference-Applied"),
        },
        202: {
            "description": "The job is accepted",
            "content": unfinished_job(),
            "headers": header_docs("Location", "Retry-After", "Preference-Applied"),
        },
        **documented(
            Code.INVALID_REQUEST,
            Code.FILE_TOO_LARGE,
            Code.REQUEST_TOO_LARGE,
            Code.REQUEST_TOO_SLOW,
            Code.INVALID_SPEC,
            Code.NO_IMAGES,
            Code.TOO_MANY_IMAGES,
            Code.NOT_AN_IMAGE,
            Code.TOO_MANY_PIXELS,
            Code.BAD_ARCHIVE,
            Code.BAD_CSV,
            Code.UNKNOWN_COLUMN,
            Code.UNKNOWN_TEMPLATE,
            Code.UNKNOWN_VOCABULARY,
            Code.UNKNOWN_UPLOAD,
            Code.URL_NOT_ALLOWED,
            Code.FETCH_FAILED,
            Code.MODEL_NOT_OFFERED,
            Code.SHEET_TOO_LARGE,
            Code.IMAGES_DO_NOT_FIT,
            Code.TOO_MANY_VALUES,
            Code.IDEMPOTENCY_IN_PROGRESS,
            Code.IDEMPOTENCY_MISMATCH,
            Code.QUOTA_EXCEEDED,
            Code.RATE_LIMITED,
            Code.SERVICE_FULL,
            Code.SERVICE_UNAVAILABLE,
            Code.STORAGE_FULL,
        ),
    },
    openapi_extra={"requestBody": {"required": True, "content": _submission}},
)
async def submit_job(
    request: Request,
    response: Response,
    services: FromServices,
    tenant: Tenant,
    base_url: BaseUrl,
    body: Body,
    idempotency_key: IdempotencyKeyHeader,
    cancel_after: CancelAfter,
    wait: Wait,
) -> Job:
    """Accept a job. Its pictures come as files, as uploads sent before, by URL or as data URIs."""
    content_type = request.headers.get("content-type")
    match media_type(content_type):
        case "multipart/form-data":
            reader = multipart_reader(body, content_type, services.settings)
        case "application/json":
            reader = json_reader(
                body, tenant, services.uploads, services.fetcher, services.settings
            )
        case other:
            raise HTTPException(
                415, f"Content-Type is {other or 'missing'}; send {MULTIPART} or application/json"
            )
    record = await services.jobs.submit(tenant, reader, idempotency_key, cancel_after)
    if wait:
        record = await services.events.until_over(record, wait)
        response.headers["Preference-Applied"] = f"wait={wait}"
    job = job_view(record, base_url)
    response.headers["Location"] = job.urls.self
    if wait and job.status.is_terminal:
        response.status_code = 200
    else:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return job


@router.get(
    "",
    responses={
        200: {"description": "A page; it may hold fewer jobs than asked for, with more to come"},
        **documented(Code.INVALID_REQUEST),
    },
)
async def list_jobs(
    services: FromServices,
    tenant: Tenant,
    base_url: BaseUrl,
    status: Annotated[JobStatus | None, Query(description="Only jobs with this status")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> JobList:
    """Your jobs, newest first. Go on while there is a `next_cursor`; expired jobs are left out."""
    page = await services.jobs.list_jobs(tenant, status, limit, cursor)
    return JobList(
        data=tuple(job_summary(record, base_url) for record in page.records),
        next_cursor=None if page.end is None else page.end.cursor(),
    )
