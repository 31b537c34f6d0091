"""Commands that talk to a running service."""

import os
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gridscribe.client import Client
from gridscribe.commands.exit_codes import ExitCode
from gridscribe.commands.spec_options import takes_spec, with_format_of
from gridscribe.console import (
    StageProgress,
    err,
    out,
    print_error,
    print_jobs,
    print_labels,
    print_warnings,
)
from gridscribe.image_files import find_images
from shared.job_spec import JobSpec
from shared.schemas import Job, JobStatus

Server = Annotated[
    str, typer.Option(envvar="GRIDSCRIBE_SERVER", metavar="URL", help="The service's address.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the job as JSON.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]

DEFAULT_SERVER = "http://127.0.0.1:8000"


@takes_spec
def submit(
    *,
    spec: JobSpec,
    paths: Annotated[list[Path], typer.Argument(metavar="DIR_OR_FILES...", exists=True)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: sheet.png, in the format asked.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    server: Server = DEFAULT_SERVER,
    wait: Annotated[bool, typer.Option(help="Wait for the sheet and fetch it.")] = True,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most.")] = None,
    as_json: AsJson = False,
) -> None:
    """Submit images to a service, wait, and fetch the sheet."""
    output = output or Path(f"sheet.{spec.format}")
    spec = with_format_of(spec, output)
    images = find_images(paths, output)
    with _connect(server) as client:
        with StageProgress() as progress:
            job = client.create_job(spec, images, csv, on_upload=progress.show_upload)
            if wait:
                try:
                    job = client.wait(job.id, timeout, progress.show_job)
                except KeyboardInterrupt:
                    err.print(f"job {job.id} goes on; to end it: gridscribe cancel {job.id}")
                    raise
        pages = client.download(job.id, output) if job.status is JobStatus.SUCCEEDED else ()
    if as_json:
        out.print_json(job.model_dump_json())
    elif wait:
        print_labels(job.images)
    else:
        out.print(job.id)
    print_warnings(job.warnings)
    for page in pages:
        err.print(f"wrote {escape(str(page))}", soft_wrap=True)
    if wait:
        _exit_if_failed(job)


def status(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show how far a job is, and its labels once it is done."""
    with _connect(server) as client:
        job = client.get_job(job_id)
    _print_job(job, as_json=as_json)
    _exit_if_failed(job)


def jobs(
    status: Annotated[
        JobStatus | None, typer.Option(help="Only jobs with this status.", case_sensitive=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    server: Server = DEFAULT_SERVER,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List jobs, newest first."""
    with _connect(server) as client:
        found = list(islice(client.list_jobs(status), limit))
    if as_json:
        for job in found:
            out.out(job.model_dump_json())
    else:
        print_jobs(found)


def retry(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Begin a failed or canceled job anew."""
    with _connect(server) as client:
        _print_job(client.retry(job_id), as_json=as_json)


def delete(job_id: JobId, server: Server = DEFAULT_SERVER) -> None:
    """Remove a job and its files for good; one that runs is canceled first."""
    with _connect(server) as client:
        client.delete(job_id)


def cancel(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """End a job; one that runs stops at its next image."""
    with _connect(server) as client:
        _print_job(client.cancel(job_id), as_json=as_json)


def download(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the job's id as name.")
    ] = None,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Fetch the sheet of a finished job, all its pages."""
    with _connect(server) as client:
        target = output or Path(f"{job_id}.{client.get_job(job_id).spec.format}")
        for page in client.download(job_id, target):
            err.print(f"wrote {escape(str(page))}", soft_wrap=True)


def _connect(server: str) -> Client:
    # No option for the key: a command line can be read by every user of the machine.
    return Client(server, api_key=os.environ.get("GRIDSCRIBE_API_KEY"))


def _print_job(job: Job, *, as_json: bool) -> None:
    if as_json:
        out.print_json(job.model_dump_json())
        return
    progress = job.progress
    out.print(f"{job.id}: {job.status}, {progress.stage} {progress.done}/{progress.total}")
    if job.queue_position:
        out.print(f"position in the queue: {job.queue_position}")
    if job.images:
        print_labels(job.images)
    print_warnings(job.warnings)


def _exit_if_failed(job: Job) -> None:
    if job.status in (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED):
        why = f": {job.error.detail}" if job.error else ""
        print_error(f"job {job.id} {job.status}{why}")
        raise typer.Exit(ExitCode.FAILED)
