"""A job's changes, read from the service's stream of server-sent events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.schemas import Job, JobProgress, JobStatus, Progress


@dataclass(frozen=True, slots=True)
class JobUpdate:
    event_id: str | None
    """For `Client.events`, to go on behind this one."""
    status: JobStatus
    progress: Progress
    job: Job | None
    """All of it: at first, and when it is over."""

    @property
    def is_last(self) -> bool:
        return self.job is not None and self.status.is_terminal


def read_updates(lines: Iterable[str]) -> Iterator[JobUpdate]:
    """The events of a stream (HTML Living Standard, 9.2.6), without those this version ignores.

    Raises `pydantic.ValidationError` for an event that no Gridscribe sends.
    """
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        match fields:
            case {"event": "job", "data": data}:
                job = Job.model_validate_json(data, extra="ignore")
                yield JobUpdate(fields.get("id"), job.status, job.progress, job)
            case {"event": "progress", "data": data}:
                change = JobProgress.model_validate_json(data, extra="ignore")
                yield JobUpdate(fields.get("id"), change.status, change.progress, None)
        fields = {}
