"""A list of jobs, page by page."""

from dataclasses import dataclass
from typing import Self

from shared.job_record import JobRecord
from shared.list_cursor import cursor_of, place_of


@dataclass(frozen=True, slots=True)
class PlaceInList:
    """The last job of a page; the next page begins behind it, whether or not it is still there."""

    created_ms: int
    job_id: str

    def cursor(self) -> str:
        return cursor_of(self.created_ms, self.job_id)

    @classmethod
    def of_cursor(cls, cursor: str) -> Self:
        """Raises `GridscribeError` INVALID_REQUEST for what `cursor()` never gave."""
        return cls(*place_of(cursor))


@dataclass(frozen=True, slots=True)
class JobPage:
    records: tuple[JobRecord, ...]
    end: PlaceInList | None
    """Where the next page begins; None on the last one."""
