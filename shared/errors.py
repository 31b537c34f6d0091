"""Domain errors: a code, what was wrong, and where. The API maps codes to HTTP statuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable names of what can go wrong; they appear in problem+json `type` and `code`."""

    INVALID_REQUEST = "invalid_request"
    INVALID_SPEC = "invalid_spec"
    NO_IMAGES = "no_images"
    TOO_MANY_IMAGES = "too_many_images"
    NOT_AN_IMAGE = "not_an_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    FILE_TOO_LARGE = "file_too_large"
    REQUEST_TOO_LARGE = "request_too_large"
    REQUEST_TOO_SLOW = "request_too_slow"
    BAD_ARCHIVE = "bad_archive"
    BAD_CSV = "bad_csv"
    UNKNOWN_COLUMN = "unknown_column"
    UNKNOWN_TEMPLATE = "unknown_template"
    MODEL_NOT_OFFERED = "model_not_offered"
    UNKNOWN_VOCABULARY = "unknown_vocabulary"
    SHEET_TOO_LARGE = "sheet_too_large"
    IMAGES_DO_NOT_FIT = "images_do_not_fit"
    TOO_MANY_VALUES = "too_many_values"
    UNKNOWN_UPLOAD = "unknown_upload"
    PRESIGN_NOT_OFFERED = "presign_not_offered"
    URL_NOT_ALLOWED = "url_not_allowed"
    FETCH_FAILED = "fetch_failed"
    TEMPLATE_NOT_FOUND = "template_not_found"
    TEMPLATE_READ_ONLY = "template_read_only"
    TEMPLATE_EXISTS = "template_exists"
    SOURCE_NOT_FOUND = "source_not_found"
    JOB_NOT_FOUND = "job_not_found"
    JOB_EXPIRED = "job_expired"
    RESULT_NOT_READY = "result_not_ready"
    JOB_NOT_CANCELABLE = "job_not_cancelable"
    JOB_NOT_RETRYABLE = "job_not_retryable"
    ENDPOINT_NOT_FOUND = "endpoint_not_found"
    ENDPOINT_DISABLED = "endpoint_disabled"
    DELIVERY_NOT_FOUND = "delivery_not_found"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    WAIT_TIMED_OUT = "wait_timed_out"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    QUOTA_EXCEEDED = "quota_exceeded"
    RATE_LIMITED = "rate_limited"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    SERVICE_FULL = "service_full"
    SERVICE_UNAVAILABLE = "service_unavailable"
    STORAGE_FULL = "storage_full"
    # Found only while the job runs; they stand in `job.error`.
    NO_READABLE_IMAGE = "no_readable_image"
    COMPOSE_FAILED = "compose_failed"
    DEADLINE_EXCEEDED = "deadline_exceeded"


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """One offending part of a request: `location` as in `images[3]` or `spec.rows`."""

    location: str
    detail: str


class GridscribeError(Exception):
    """An error a caller can act on."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        errors: Sequence[ErrorLocation] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        """Seconds after which trying again may help; None where it cannot."""


class UnreadableImageError(Exception):
    """Damage that only decoding finds: it costs that image its picture, never the job."""
