"""Opaque cursors of lists: the place of a page's last entry, by its time and its id."""

import base64
import binascii
import re

from shared.errors import ErrorCode, ErrorLocation, GridscribeError

_PLACE = re.compile(r"(\d{1,15})\.([\w-]{36})", re.ASCII)


def cursor_of(milliseconds: int, entry_id: str) -> str:
    """Of an entry of that time; ids of jobs and of deliveries have 36 characters."""
    place = f"{milliseconds}.{entry_id}".encode()
    return base64.urlsafe_b64encode(place).rstrip(b"=").decode()


def place_of(cursor: str) -> tuple[int, str]:
    """Milliseconds and id. Raises `GridscribeError` INVALID_REQUEST for what is no cursor."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        place = base64.b64decode(padded, b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error) as error:
        raise _refusal() from error
    if match := _PLACE.fullmatch(place):
        return int(match[1]), match[2]
    raise _refusal()


def _refusal() -> GridscribeError:
    detail = "no page gave this cursor; leave it out to begin with the newest"
    return GridscribeError(
        ErrorCode.INVALID_REQUEST, f"cursor: {detail}", errors=[ErrorLocation("cursor", detail)]
    )
