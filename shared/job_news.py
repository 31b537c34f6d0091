"""What happened to a job, as the stream of its events tells it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from shared.job_record import JobRecord
from shared.schemas import JobStatus, Stage

_EVENT_ID = re.compile(r"(\d{1,15})-(\d{1,15})", re.ASCII)

StreamEntry = tuple[str, Mapping[str, str]]


class EventId(NamedTuple):
    """The id of an entry of a Redis stream: they grow."""

    milliseconds: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """None for what is no id, as callers may send."""
        match = _EVENT_ID.fullmatch(text or "")
        return cls(int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class JobEvent:
    id: EventId | None
    """None for a job of an older version that has not changed since."""
    record: JobRecord
    is_whole: bool
    """Whether all of the record is news, or status and progress alone."""


@dataclass(frozen=True, slots=True)
class JobNews:
    record: JobRecord
    last_event: EventId | None
    changes: tuple[JobEvent, ...]
    """Oldest first."""
    is_complete: bool
    """Whether `changes` is all that happened since the event that was asked for."""

    def events(self) -> Iterator[JobEvent]:
        """What to tell: the changes, or the whole job where they do not suffice or it is over."""
        whole = JobEvent(self.last_event, self.record, is_whole=True)
        if not self.is_complete:
            yield whole
        elif self.changes and self.record.status.is_terminal:
            yield from self.changes[:-1]
            yield whole
        else:
            yield from self.changes


def parse_news(
    record: JobRecord,
    after: EventId | None,
    last_event: str | None,
    first: Sequence[StreamEntry],
    entries: Sequence[StreamEntry],
) -> JobNews:
    """`first` holds the oldest entry there is, if any; `entries` those behind `after`."""
    last = EventId.parse(last_event)
    oldest = EventId.parse(first[0][0]) if first else None
    is_complete = after is not None and (
        after == last or (oldest is not None and last is not None and oldest <= after < last)
    )
    changes = tuple(_change(record, entry) for entry in entries) if is_complete else ()
    return JobNews(record, last, changes, is_complete)


def _change(record: JobRecord, entry: StreamEntry) -> JobEvent:
    """The job as it was then; what a change does not tell is as it is now."""
    event_id, fields = entry
    then = replace(
        record,
        status=JobStatus(fields["status"]),
        stage=Stage(fields["stage"]),
        captions_done=int(fields["captions_done"]),
        composed=int(fields["composed"]),
    )
    return JobEvent(EventId.parse(event_id), then, is_whole=False)
