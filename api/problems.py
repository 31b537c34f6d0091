"""Problem details (RFC 9457) as answers, and as the OpenAPI document describes them."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response

from api.openapi_examples import DETAILS
from api.response_headers import header_docs
from shared.errors import ErrorCode
from shared.problems import STATUSES, problem
from shared.schemas import Problem

MEDIA_TYPE = "application/problem+json"

_PASSING = (409, 429, 503, 507)
"""What may be over after a while; where it may, the answer has `Retry-After`."""


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
