"""What a webhook says: `{type, timestamp, data}`, under 20 kB (Standard Webhooks 1.0)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.job_record import parse_record
from shared.job_view import job_view
from shared.schemas import JobStatus

MAX_BYTES = 20_000

_SHRUNK = ("images", "warnings", "spec", "metadata")
"""What a message that is too large goes without, in this order, until it fits."""


def job_message(
    event: str, happened_at: datetime, about: str, rest: Mapping[str, str], base_url: str
) -> bytes:
    """A message about a job as it was when the event happened.

    `about` is the snapshot that was taken then, as JSON; `rest` are the fields of the job's record
    that it does not hold, so far as there still are any. `data` is the job, as `GET /v1/jobs/{id}`
    shows it; `data.omitted` names what had to be left out, where that is so.
    """
    then: dict[str, str] = json.loads(about)
    fields = _known(then, rest)
    omitted = [] if "spec" in fields else ["spec", "metadata"]
    record = parse_record({"spec": "{}", **fields}, None)
    data = job_view(record, base_url).model_dump(mode="json")
    for missing in omitted:
        del data[missing]
    for too_much in ("", *_SHRUNK):
        if too_much in data:
            del data[too_much]
            omitted.append(too_much)
        body = _message(event, happened_at, data | ({"omitted": omitted} if omitted else {}))
        if len(body) < MAX_BYTES:
            break
    return body


def trial_message(event: str, happened_at: datetime, about: str) -> bytes:
    return _message(event, happened_at, json.loads(about))


def _known(then: Mapping[str, str], rest: Mapping[str, str]) -> dict[str, str]:
    """The snapshot with what belongs to it of the record, which may have gone on since."""
    fields = {**then}
    if "spec" in rest:
        fields["spec"] = rest["spec"]
    status = JobStatus(then["status"])
    # The sheet of an expired job is gone; one that was retried has the sheet of a later run.
    if status is JobStatus.SUCCEEDED:
        fields |= {name: rest[name] for name in ("labeled", "result") if name in rest}
    if status.is_terminal and status is not JobStatus.EXPIRED and "warnings" in rest:
        fields["warnings"] = rest["warnings"]
    return fields


def _message(event: str, happened_at: datetime, data: Mapping[str, Any]) -> bytes:
    timestamp = happened_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {"type": event, "timestamp": timestamp, "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
