"""What commands do that make a job: wait for it, fetch its sheet, tell how it went."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.markup import escape

from gridscribe.client import Client
from gridscribe.commands.exit_codes import ExitCode
from gridscribe.console import (
    StageProgress,
    err,
    out,
    print_document,
    print_error,
    print_labels,
    print_warnings,
)
from shared.schemas import Job, JobStatus


@dataclass(frozen=True, slots=True)
class SeeingThrough:
    """A job from its beginning to its sheet in `output`; None leaves the sheet where it is."""

    client: Client
    output: Path | None
    wait: bool = True
    timeout: float | None = None
    as_json: bool = False

    def begin(self, make: Callable[[StageProgress], Job]) -> None:
        """Make a job and see it through; exits where it fails."""
        with StageProgress() as progress:
            try:
                job = make(progress)
            except KeyboardInterrupt:
                progress.stop()
                err.print("stopped while the images were on their way; no job was made of them")
                raise
            if self.wait:
                job = self._waited(job, progress)
            pages = self._fetched(job, progress)
        self._tell(job, pages)

    def go_on(self, job: Job) -> None:
        """The same with a job that there is."""
        with StageProgress() as progress:
            job = self._waited(job, progress)
            pages = self._fetched(job, progress)
        self._tell(job, pages)

    def _waited(self, job: Job, progress: StageProgress) -> Job:
        try:
            return self.client.jobs.wait(job.id, self.timeout, progress.show_job)
        except KeyboardInterrupt:
            progress.stop()
            server = f" --server {self.client.base_url}"
            keep = f" -o {self.output}" if self.output else ""
            err.print(
                f"job {job.id} goes on without you;"
                f"\n  to wait for it again: gridscribe wait {job.id}{escape(keep)}{server}"
                f"\n  to end it:            gridscribe cancel {job.id}{server}",
                soft_wrap=True,
            )
            raise

    def _fetched(self, job: Job, progress: StageProgress) -> tuple[Path, ...]:
        if self.output is None or job.status is not JobStatus.SUCCEEDED:
            return ()
        return self.client.jobs.download(job.id, self.output, progress.show_download)

    def _tell(self, job: Job, pages: tuple[Path, ...]) -> None:
        if self.as_json:
            print_document(job)
        elif self.wait:
            print_labels(job.images)
        else:
            out.print(job.id)
        print_warnings(job.warnings)
        for page in pages:
            err.print(f"wrote {escape(str(page))}", soft_wrap=True)
        if self.wait:
            exit_if_failed(job)


def exit_if_failed(job: Job) -> None:
    """End the command with exit code 1 where the job ended, and not with a sheet."""
    if job.status in (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED):
        why = f": {job.error.detail}" if job.error else ""
        print_error(f"job {job.id} {job.status}{why}")
        raise typer.Exit(ExitCode.FAILED)
