"""What a caller can do to a job that there is."""

from fastapi import APIRouter, Response

from api.dependencies import BaseUrl, FromServices, Tenant
from api.job_example import unfinished_job
from api.problems import documented
from api.response_headers import POLL_SECONDS, header_docs
from shared.errors import ErrorCode as Code
from shared.job_view import job_view
from shared.schemas import Job, JobStatus

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])


@router.post(
    "/cancel",
    responses={
        200: {
            "description": "The job is canceled",
            "content": unfinished_job(JobStatus.CANCELED),
        },
        202: {
            "model": Job,
            "description": "The job is running and stops at its next step",
            "content": unfinished_job(JobStatus.CANCELING),
            "headers": header_docs("Retry-After"),
        },
        **documented(Code.JOB_NOT_FOUND, Code.JOB_EXPIRED, Code.JOB_NOT_CANCELABLE),
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


@router.post(
    "/retry",
    status_code=202,
    responses={
        202: {
            "description": "The job is queued again",
            "content": unfinished_job(),
            "headers": header_docs("Location", "Retry-After"),
        },
        **documented(
            Code.JOB_NOT_FOUND,
            Code.JOB_EXPIRED,
            Code.JOB_NOT_RETRYABLE,
            Code.QUOTA_EXCEEDED,
            Code.RATE_LIMITED,
            Code.SERVICE_FULL,
            Code.SERVICE_UNAVAILABLE,
        ),
    },
)
async def retry_job(
    job_id: str, response: Response, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Job:
    """Begin a failed or canceled job anew, under the same id and with the same files."""
    job = job_view(await services.jobs.retry(tenant, job_id), base_url)
    response.headers["Location"] = job.urls.self
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return job


@router.delete(
    "",
    status_code=204,
    responses={
        204: {"description": "The job is gone"},
        **documented(Code.JOB_NOT_FOUND),
    },
)
async def delete_job(job_id: str, services: FromServices, tenant: Tenant) -> None:
    """Remove a job with all its files; one that runs is canceled first.

    It is unknown at once. Its files go within seconds, or once the worker that has it has stopped.
    """
    await services.jobs.delete(tenant, job_id)
