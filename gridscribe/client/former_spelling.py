"""How the client's calls were spelled before there was `client.jobs`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridscribe.client.job_updates import JobUpdate
from gridscribe.client.upload_file import ImageInput
from shared.job_spec import JobSpec
from shared.schemas import Job, JobStatus, JobSummary, Manifest

if TYPE_CHECKING:
    from gridscribe.client.jobs import Jobs


class FormerSpelling:
    """Each is a call of `jobs`."""

    jobs: "Jobs"

    def create_job(
        self,
        spec: JobSpec,
        images: Sequence[ImageInput],
        csv: Path | bytes | None = None,
        **options: Any,
    ) -> Job:
        return self.jobs.create(images, spec, csv=csv, **options)

    def get_job(self, job_id: str) -> Job:
        return self.jobs.get(job_id)

    def list_jobs(self, status: JobStatus | None = None) -> Iterator[JobSummary]:
        return self.jobs.list(status)

    def events(self, job_id: str, last_event_id: str | None = None) -> Iterator[JobUpdate]:
        return self.jobs.events(job_id, last_event_id)

    def wait(self, job_id: str, timeout: float | None = None, on_progress: Any = None) -> Job:
        return self.jobs.wait(job_id, timeout, on_progress)

    def cancel(self, job_id: str) -> Job:
        return self.jobs.cancel(job_id)

    def retry(self, job_id: str) -> Job:
        return self.jobs.retry(job_id)

    def delete(self, job_id: str) -> None:
        self.jobs.delete(job_id)

    def manifest(self, job_id: str) -> Manifest:
        return self.jobs.manifest(job_id)

    def download(self, job_id: str, path: Path) -> tuple[Path, ...]:
        return self.jobs.download(job_id, path)
