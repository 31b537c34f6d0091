"""What an answer of the service says beyond its content."""

import email.utils
from datetime import UTC, datetime

import httpx
from pydantic import ValidationError

from shared.errors import ErrorCode
from shared.schemas import Problem

_PASSING = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


def is_passing(response: httpx.Response) -> bool:
    """Whether the same request may succeed a little later."""
    return response.status_code in _PASSING or (
        # An earlier try of ours, cut off on its way back, is still being accepted.
        response.status_code == httpx.codes.CONFLICT
        and problem_of(response).code == ErrorCode.IDEMPOTENCY_IN_PROGRESS
    )


def problem_of(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content, extra="ignore")
    except ValidationError:  # a proxy answered, or no Gridscribe at all
        return Problem(
            type="about:blank",
            title=response.reason_phrase,
            status=response.status_code,
            detail=response.text.strip()[:200] or response.reason_phrase,
            code="unexpected_answer",
        )


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, given as such or as a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
