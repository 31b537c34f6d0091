"""Commands about jobs that there are."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gridscribe.client import DEFAULT_SERVER
from gridscribe.commands.connection import AsJson, AsJsonLines, JobId, Server, connect
from gridscribe.commands.seeing_through import SeeingThrough, exit_if_failed
from gridscribe.console import (
    StageProgress,
    err,
    out,
    print_document,
    print_jobs,
    print_labels,
    print_line,
    print_manifest,
    print_warnings,
)
from shared.schemas import Job, JobStatus


def status(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show how far a job is, and its labels once it is done."""
    with connect(server) as client:
        job = client.jobs.get(job_id)
    _print_job(job, as_json=as_json)
    exit_if_failed(job)


def jobs(
    status: Annotated[
        JobStatus | None, typer.Option(help="Only jobs with this status.", case_sensitive=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """List jobs, newest first."""
    with connect(server) as client:
        found = list(islice(client.jobs.list(status), limit))
    if as_json:
        for job in found:
            print_line(job)
    else:
        print_jobs(found)


def wait(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Fetch the sheet, too.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most.")] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Wait until a job is over, and show its labels."""
    with connect(server) as client:
        job = client.jobs.get(job_id)
        SeeingThrough(client, output, timeout=timeout, as_json=as_json).go_on(job)


def events(
    job_id: JobId,
    after: Annotated[
        str | None, typer.Option(metavar="EVENT", help="Only what came after this event.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJsonLines = False,
) -> None:
    """Show each change of a job as it happens, until it is over."""
    with connect(server) as client:
        for update in client.jobs.events(job_id, after):
            if as_json:
                print_line(update)
            else:
                progress = update.progress
                counted = f"{progress.done}/{progress.total}" if progress.total else ""
                out.print(f"{update.status:<10} {progress.stage:<10} {counted}".rstrip())
            if update.job and update.is_last:
                exit_if_failed(update.job)


def retry(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Begin a failed or canceled job anew."""
    with connect(server) as client:
        _print_job(client.jobs.retry(job_id), as_json=as_json)


def delete(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Remove a job and its files for good; one that runs is canceled first."""
    with connect(server) as client:
        client.jobs.delete(job_id)
    if as_json:
        print_document({"deleted": job_id})
    else:
        err.print(f"deleted {escape(job_id)}")


def cancel(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """End a job; one that runs stops at its next image."""
    with connect(server) as client:
        _print_job(client.jobs.cancel(job_id), as_json=as_json)


def download(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the job's id as name.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Fetch the sheet of a finished job, all its pages."""
    with connect(server) as client, StageProgress() as progress:
        target = output or Path(f"{job_id}.{client.jobs.get(job_id).spec.format}")
        pages = client.jobs.download(job_id, target, progress.show_download)
    if as_json:
        print_document({"files": [str(page) for page in pages]})
    for page in pages:
        err.print(f"wrote {escape(str(page))}", soft_wrap=True)


def manifest(job_id: JobId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show where every image stands, its label, and why it has this one."""
    with connect(server) as client:
        found = client.jobs.manifest(job_id)
    if as_json:
        print_document(found)
    else:
        print_manifest(found)


def _print_job(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_document(job)
        return
    progress = job.progress
    out.print(f"{job.id}: {job.status}, {progress.stage} {progress.done}/{progress.total}")
    if job.queue_position:
        out.print(f"position in the queue: {job.queue_position}")
    if job.images:
        print_labels(job.images)
    print_warnings(job.warnings)
