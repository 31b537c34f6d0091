"""Headers by which a caller says how long a job may take."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header

from shared.errors import ErrorCode, ErrorLocation, GridscribeError

LONGEST_WAIT = 60
LONGEST_CANCEL_AFTER = timedelta(days=7)

_DURATION = re.compile(r"(\d{1,9})([smh]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_WAIT = re.compile(r'\s*wait\s*=\s*("?)(\d{1,9})\1\s*(?:;|$)', re.ASCII | re.IGNORECASE)


def get_cancel_after(
    value: Annotated[
        str | None,
        Header(
            alias="Cancel-After",
            description="Cancel the job when it is not over by then: `90`, `90s`, `10m` or `1h`"
            " from now, seven days at most.",
            examples=["10m"],
        ),
    ] = None,
) -> timedelta | None:
    if value is None:
        return None
    match = _DURATION.fullmatch(value.strip())
    duration = timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else timedelta()
    if not timedelta(seconds=1) <= duration <= LONGEST_CANCEL_AFTER:
        detail = "must be a time from 1 second to 7 days, such as 90, 90s, 10m or 1h"
        raise GridscribeError(
            ErrorCode.INVALID_REQUEST,
            f"Cancel-After: {detail}",
            errors=[ErrorLocation("Cancel-After", detail)],
        )
    return duration


def get_wait(
    values: Annotated[
        list[str] | None,
        Header(
            alias="Prefer",
            description="`wait=N` (RFC 7240) has the answer wait up to N seconds,"
            f" {LONGEST_WAIT} at most, for the job to be over.",
            examples=["wait=10"],
        ),
    ] = None,
) -> int:
    """Seconds. What a preference asks that is not understood is ignored, as RFC 7240 wants."""
    for preference in _preferences(values or ()):
        if match := _WAIT.match(preference):
            return min(int(match[2]), LONGEST_WAIT)
    return 0


def _preferences(values: Sequence[str]) -> list[str]:
    return [preference for value in values for preference in value.split(",")]


CancelAfter = Annotated[timedelta | None, Depends(get_cancel_after)]
Wait = Annotated[int, Depends(get_wait)]
