"""Commands that start the service on this machine."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gridscribe.client import Client
from gridscribe.commands.exit_codes import ExitCode
from gridscribe.commands.signals import ended_by_signals, noted_signals
from gridscribe.console import (
    StageProgress,
    err,
    out,
    print_child_line,
    print_error,
    print_labels,
    print_warnings,
)
from gridscribe.devstack import DevStack
from gridscribe.image_files import find_images
from gridscribe.supervisor import Log
from shared.job_spec import JobSpec
from shared.schemas import JobStatus

SAMPLES = Path(__file__).resolve().parents[1] / "samples"

_READY_SECONDS = 180.0
_NOTICED_WITHIN = 0.2
_HELD_LINES = 500


def dev(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    data_dir: Annotated[Path, typer.Option(help="Where queue and files are kept.")] = Path(
        "gridscribe-data"
    ),
) -> None:
    """Run the whole service on this machine until Ctrl+C."""
    with (
        noted_signals() as is_stopped,
        DevStack(host, port, data_dir, log=print_child_line) as stack,
    ):
        if stack.wait_ready(_READY_SECONDS, give_up=is_stopped):
            err.print(
                f"[bold green]ready:[/] {stack.base_url}, data in {escape(str(stack.data_dir))}"
            )
            err.print(f"its store, for gridscribe keys: {escape(stack.redis_url)}", soft_wrap=True)
        while not is_stopped():
            time.sleep(_NOTICED_WITHIN)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the sheet.")] = Path(
        "demo-output"
    ),
) -> None:
    """Start the service, caption nine sample photos, write grid.png, and stop it again."""
    started = time.monotonic()
    spec = JobSpec(rows=3, cols=3, use_clip=True)
    with (
        ended_by_signals(),
        _told_on_failure() as log,
        DevStack(port=0, data_dir=output / ".data", log=log) as stack,
    ):
        with err.status("starting Valkey, the workers and the API ..."):
            stack.wait_ready(_READY_SECONDS)
        ready = time.monotonic()
        with Client(stack.base_url) as client:
            with StageProgress() as progress:
                job = client.jobs.create(
                    find_images([SAMPLES]), spec, on_upload=progress.show_upload
                )
                job = client.jobs.wait(job.id, on_progress=progress.show_job)
            if job.status is not JobStatus.SUCCEEDED:
                print_error(job.error.detail if job.error else f"the job ended as {job.status}")
                raise typer.Exit(ExitCode.FAILED)
            (sheet,) = client.jobs.download(job.id, output / "grid.png")
        done = time.monotonic()
    print_labels(job.images)
    print_warnings(job.warnings)
    out.print(
        f"wrote {escape(str(sheet))}: service ready after {ready - started:.1f} s,"
        f" job done {done - ready:.1f} s later",
        soft_wrap=True,
    )


@contextlib.contextmanager
def _told_on_failure() -> Iterator[Log]:
    """Holds the processes' lines back; they are shown only where the block fails."""
    held: deque[tuple[str, str]] = deque(maxlen=_HELD_LINES)
    try:
        yield lambda name, line: held.append((name, line))
    except Exception:  # whatever it is, what the processes said belongs to it
        for name, line in held:
            print_child_line(name, line)
        raise
