"""A job made of another one's images."""

from fastapi import APIRouter, Response

from api.byte_streams import read_whole
from api.dependencies import BaseUrl, Body, FromServices, IdempotencyKeyHeader, Tenant
from api.job_example import unfinished_job
from api.openapi import json_body
from api.problems import documented
from api.relabeling import relabel_reader
from api.response_headers import POLL_SECONDS, header_docs
from api.validation import parse_json
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.job_spec import RelabelRequest
from shared.job_view import job_view
from shared.schemas import Job

router = APIRouter(prefix="/v1/jobs/{job_id}/relabel", tags=["jobs"])


@router.post(
    "",
    status_code=202,
    responses={
        202: {
            "description": "The new job is accepted",
            "content": unfinished_job(),
            "headers": header_docs("Location", "Retry-After"),
        },
        **documented(
            Code.JOB_NOT_FOUND,
            Code.JOB_EXPIRED,
            Code.INVALID_REQUEST,
            Code.REQUEST_TOO_LARGE,
            Code.REQUEST_TOO_SLOW,
            Code.INVALID_SPEC,
            Code.TOO_MANY_IMAGES,
            Code.UNKNOWN_COLUMN,
            Code.UNKNOWN_TEMPLATE,
            Code.UNKNOWN_VOCABULARY,
            Code.URL_NOT_ALLOWED,
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
    openapi_extra={"requestBody": {"required": True, "content": json_body("RelabelRequest")}},
)
async def relabel_job(
    job_id: str,
    response: Response,
    services: FromServices,
    tenant: Tenant,
    base_url: BaseUrl,
    body: Body,
    idempotency_key: IdempotencyKeyHeader,
) -> Job:
    """Make a new job of a job's images: with labels put right, in another format or layout.

    Nothing is sent again. What `spec` does not name is as in the job; labels that are not corrected
    come from where they came from. The job itself stays as it is.
    """
    inputs = await services.jobs.inputs(tenant, job_id)
    limit = services.settings.max_spec_bytes
    too_large = GridscribeError(Code.REQUEST_TOO_LARGE, f"this request may have {limit:,} bytes")
    request = parse_json(RelabelRequest, await read_whole(body, limit, too_large))
    reader = relabel_reader(job_id, inputs, request)
    job = job_view(await services.jobs.submit(tenant, reader, idempotency_key), base_url)
    response.headers["Location"] = job.urls.self
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return job
