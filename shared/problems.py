"""Problem details (RFC 9457), and the one table from error codes to HTTP statuses.

They stand in answers to requests and, as `job.error`, in what is told of a job.
"""

from collections.abc import Mapping, Sequence

from shared.errors import ErrorCode, ErrorLocation
from shared.schemas import Problem

STATUSES: Mapping[ErrorCode, int] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.INVALID_SPEC: 422,
    ErrorCode.NO_IMAGES: 422,
    ErrorCode.TOO_MANY_IMAGES: 422,
    ErrorCode.NOT_AN_IMAGE: 422,
    ErrorCode.TOO_MANY_PIXELS: 422,
    ErrorCode.FILE_TOO_LARGE: 413,
    ErrorCode.REQUEST_TOO_LARGE: 413,
    ErrorCode.REQUEST_TOO_SLOW: 408,
    ErrorCode.BAD_ARCHIVE: 422,
    ErrorCode.BAD_CSV: 422,
    ErrorCode.UNKNOWN_COLUMN: 422,
    ErrorCode.UNKNOWN_TEMPLATE: 422,
    ErrorCode.MODEL_NOT_OFFERED: 422,
    ErrorCode.UNKNOWN_VOCABULARY: 422,
    ErrorCode.SHEET_TOO_LARGE: 422,
    ErrorCode.IMAGES_DO_NOT_FIT: 422,
    ErrorCode.TOO_MANY_VALUES: 422,
    ErrorCode.UNKNOWN_UPLOAD: 422,
    ErrorCode.PRESIGN_NOT_OFFERED: 409,
    ErrorCode.URL_NOT_ALLOWED: 422,
    ErrorCode.FETCH_FAILED: 422,
    ErrorCode.TEMPLATE_NOT_FOUND: 404,
    ErrorCode.TEMPLATE_READ_ONLY: 409,
    ErrorCode.TEMPLATE_EXISTS: 409,
    ErrorCode.SOURCE_NOT_FOUND: 404,
    ErrorCode.JOB_NOT_FOUND: 404,
    ErrorCode.JOB_EXPIRED: 410,
    ErrorCode.RESULT_NOT_READY: 409,
    ErrorCode.JOB_NOT_CANCELABLE: 409,
    ErrorCode.JOB_NOT_RETRYABLE: 409,
    ErrorCode.ENDPOINT_NOT_FOUND: 404,
    ErrorCode.ENDPOINT_DISABLED: 409,
    ErrorCode.DELIVERY_NOT_FOUND: 404,
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: 409,
    ErrorCode.WAIT_TIMED_OUT: 504,
    ErrorCode.IDEMPOTENCY_MISMATCH: 422,
    ErrorCode.QUOTA_EXCEEDED: 429,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.SERVICE_FULL: 503,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.STORAGE_FULL: 507,
    ErrorCode.NO_READABLE_IMAGE: 422,
    ErrorCode.COMPOSE_FAILED: 500,
    ErrorCode.DEADLINE_EXCEEDED: 504,
}


def problem(
    code: str,
    status: int,
    detail: str,
    *,
    errors: Sequence[ErrorLocation] = (),
    instance: str | None = None,
    request_id: str | None = None,
) -> Problem:
    return Problem(
        type=f"urn:gridscribe:error:{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        errors=tuple({"location": e.location, "detail": e.detail} for e in errors),
        request_id=request_id,
    )
