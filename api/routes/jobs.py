"""Submit, watch and cancel jobs."""

from fastapi import APIRouter, HTTPException, Request, Response

from api.dependencies import BaseUrl, Body, FromServices, IdempotencyKeyHeader, Tenant
from api.job_view import job_view
from api.multipart_stream import MULTIPART, media_type
from api.openapi import json_body, multipart_body
from api.problems import documented
from api.submission_readers import json_reader, multipart_reader
from shared.errors import ErrorCode as Code
from shared.schemas import Job, JobStatus

POLL_SECONDS = 1
"""How long a caller should wait before it asks again."""

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
    responses=documented(
        Code.INVALID_REQUEST,
        Code.FILE_TOO_LARGE,
        Code.REQUEST_TOO_LARGE,
        Code.INVALID_SPEC,
        Code.NO_IMAGES,
        Code.TOO_MANY_IMAGES,
        Code.NOT_AN_IMAGE,
        Code.TOO_MANY_PIXELS,
        Code.BAD_ARCHIVE,
        Code.BAD_CSV,
        Code.UNKNOWN_COLUMN,
        Code.UNKNOWN_TEMPLATE,
        Code.UNKNOWN_UPLOAD,
        Code.MODEL_NOT_OFFERED,
        Code.SHEET_TOO_LARGE,
        Code.IMAGES_DO_NOT_FIT,
        Code.TOO_MANY_VALUES,
        Code.IDEMPOTENCY_MISMATCH,
        Code.QUOTA_EXCEEDED,
        Code.SERVICE_FULL,
        Code.SERVICE_UNAVAILABLE,
        Code.STORAGE_FULL,
    ),
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
) -> Job:
    """Accept a job. Its pictures may come as files, as uploads sent before or as data URIs."""
    content_type = request.headers.get("content-type")
    match media_type(content_type):
        case "multipart/form-data":
            reader = multipart_reader(body, content_type, services.settings)
        case "application/json":
            reader = json_reader(body, tenant, services.uploads, services.settings)
        case other:
            raise HTTPException(
                415, f"Content-Type is {other or 'missing'}; send {MULTIPART} or application/json"
            )
    record = await services.jobs.submit(tenant, reader, idempotency_key)
    job = job_view(record, base_url)
    response.headers["Location"] = job.urls.self
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return job


@router.get(
    "/{job_id}",
    responses=documented(Code.JOB_NOT_FOUND, Code.JOB_EXPIRED, Code.SERVICE_UNAVAILABLE),
)
async def get_job(
    job_id: str, response: Response, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Job:
    """How far a job is. `Retry-After` says when to ask again; it is absent once the job ended."""
    record = await services.jobs.get(tenant, job_id)
    if not record.status.is_terminal:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return job_view(record, base_url)


@router.post(
    "/{job_id}/cancel",
    responses={
        202: {"model": Job, "description": "The job is running and stops at its next step"},
        **documented(
            Code.JOB_NOT_FOUND, Code.JOB_EXPIRED, Code.JOB_NOT_CANCELABLE, Code.SERVICE_UNAVAILABLE
        ),
    },
)
async def cancel_job(
    job_id: str, response: Response, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Job:
    """End a job: at once where it still waits, else between two steps."""
    record = await services.jobs.cancel(tenant, job_id)
    if record.status is JobStatus.CANCELING:
        response.status_code = 202
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return job_view(record, base_url)
