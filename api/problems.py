"""Problem details (RFC 9457), and the one table from error codes to HTTP statuses."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response

from api.openapi_examples import DETAILS
from api.response_headers import header_docs
from shared.errors import ErrorCode, ErrorLocation
from shared.schemas import Problem

MEDIA_TYPE = "application/problem+json"

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
    ErrorCode.JOB_NOT_FOUND: 404,
    ErrorCode.JOB_EXPIRED: 410,
    ErrorCode.RESULT_NOT_READY: 409,
    ErrorCode.JOB_NOT_CANCELABLE: 409,
    ErrorCode.JOB_NOT_RETRYABLE: 409,
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


_PASSING = (409, 429, 503, 507)
"""What may be over after a while; where it may, the answer has `Retry-After`."""


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


def problem_response(body: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        body.model_dump_json(exclude_none=True), body.status, headers, media_type=MEDIA_TYPE
    )


def documented(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the problems it may answer with, by status."""
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUSES[code], []).append(code)
    return {status: described_problem(int(status), names) for status, names in by_status.items()}


def described_problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    """An answer of an OpenAPI operation: a problem with one of `codes`, and an example of each."""
    examples = {
        code: {
            "value": problem(code, status, DETAILS.get(code, code)).model_dump(
                mode="json", exclude_none=True
            )
        }
        for code in codes
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": ", ".join(codes),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
        "headers": header_docs("Retry-After") if status in _PASSING else {},
    }
