"""Headers of answers, as the OpenAPI description tells of them; and when an answer is no news."""

from typing import Any

POLL_SECONDS = 1
"""How long a caller should wait before it asks again how far a job is."""

_HEADERS = {
    "Location": (
        "The address of the job, or of what was made.",
        {"type": "string", "format": "uri"},
        None,
    ),
    "Retry-After": ("Seconds to wait before asking again.", {"type": "integer"}, 1),
    "ETag": ("Changes with the answer; for `If-None-Match`.", {"type": "string"}, '"6c1f3a"'),
    "Preference-Applied": ("The wait that was granted.", {"type": "string"}, "wait=10"),
}


def header_docs(*names: str) -> dict[str, Any]:
    """For an entry of a route's `responses`: which of the headers it has."""
    docs: dict[str, Any] = {}
    for name in names:
        description, schema, example = _HEADERS[name]
        docs[name] = {"description": description, "schema": schema}
        if example is not None:
            docs[name]["example"] = example
    return docs


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether a caller who sent `If-None-Match` has this answer already (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in tags or "*" in tags
