"""A job's changes, read from the service's stream of server-sent events."""

from dataclasses import dataclass

from shared.schemas import Job, JobProgress, JobStatus, Progress


@dataclass(frozen=True, slots=True)
class JobUpdate:
    event_id: str | None
    """For `jobs.events`, to go on behind this one; None where the service was asked instead."""
    status: JobStatus
    progress: Progress
    job: Job | None
    """All of it: at first, and when it is over."""

    @property
    def is_last(self) -> bool:
        return self.job is not None and self.status.is_terminal


class UpdateReader:
    """Puts events together line by line (HTML Living Standard, 9.2.6); those that this version
    does not know are passed over.
    """

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> JobUpdate | None:
        """The update that ends with `line`. Raises `pydantic.ValidationError` for one that no
        Gridscribe sends.
        """
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        match fields:
            case {"event": "job", "data": data}:
                job = Job.model_validate_json(data, extra="ignore")
                return JobUpdate(fields.get("id"), job.status, job.progress, job)
            case {"event": "progress", "data": data}:
                change = JobProgress.model_validate_json(data, extra="ignore")
                return JobUpdate(fields.get("id"), change.status, change.progress, None)
        return None
