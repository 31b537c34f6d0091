"""What an answer of the service says beyond its content."""

import email.utils
from datetime import UTC, datetime

import httpx
from pydantic import ValidationError

from shared.errors import ErrorCode
from shared.schemas import Problem

_PASSING = (
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
)


def is_passing(problem: Problem) -> bool:
    """Whether the same request may succeed a little later."""
    # The last: an earlier try of ours, cut off on its way back, is still being accepted.
    return problem.status in _PASSING or problem.code == ErrorCode.IDEMPOTENCY_IN_PROGRESS


def problem_of(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content, extra="ignore")
    except ValidationError:  # a proxy answered, or no Gridscribe at all
        detail = response.text.strip()[:200] or response.reason_phrase
        if target := response.headers.get("Location"):
            detail = f"{response.url} sends callers on to {target[:200]}: use that address"
        return Problem(
            type="about:blank",
            title=response.reason_phrase,
            status=response.status_code,
            detail=detail,
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
