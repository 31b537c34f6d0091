"""A list of jobs, page by page, and the opaque cursors that callers hold."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self

from shared.job_record import JobRecord

_PLACE = re.compile(r"(\d{1,15})\.([0-9a-f-]{36})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PlaceInList:
    """The last job of a page; the next page begins behind it, whether or not it is still there."""

    created_ms: int
    job_id: str

    def cursor(self) -> str:
        place = f"{self.created_ms}.{self.job_id}".encode()
        return base64.urlsafe_b64encode(place).rstrip(b"=").decode()

    @classmethod
    def of_cursor(cls, cursor: str) -> Self:
        """Raises `ValueError` for what `cursor()` never gave."""
        try:
            padded = cursor.encode() + b"=" * (-len(cursor) % 4)
            place = base64.b64decode(padded, b"-_", validate=True).decode()
        except (UnicodeError, binascii.Error) as error:
            raise ValueError("not a cursor") from error
        if match := _PLACE.fullmatch(place):
            return cls(int(match[1]), match[2])
        raise ValueError("not a cursor")


@dataclass(frozen=True, slots=True)
class JobPage:
    records: tuple[JobRecord, ...]
    end: PlaceInList | None
    """Where the next page begins; None on the last one."""
