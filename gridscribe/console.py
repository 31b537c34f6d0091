"""What the commands print: results on standard output, all else on standard error."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from shared.schemas import Job, JobStatus, JobSummary, JobWarning, LabeledImage, Stage

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_WARNINGS_SHOWN = 5
_CHILD_STYLES = {
    "valkey": "magenta",
    "dispatcher": "blue",
    "caption": "green",
    "compose": "cyan",
    "api": "yellow",
    "stack": "bold",
}


class StageProgress:
    """A bar for each stage of a job, on a terminal only."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Set the bar `stage`; bars of stages before it are full."""
        if stage not in self._tasks:
            for task in self._progress.tasks:
                self._progress.update(task.id, completed=task.total)
            self._tasks[stage] = self._progress.add_task(stage)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def show_upload(self, sent: int, total: int) -> None:
        self.show("uploading", sent // 1024, total // 1024)  # in KiB

    def show_job(self, job: Job) -> None:
        if job.progress.stage in (Stage.CAPTIONING, Stage.COMPOSING):
            self.show(job.progress.stage, job.progress.done, job.progress.total)
        elif job.status is JobStatus.SUCCEEDED:  # perhaps between two looks at it
            self.show(Stage.COMPOSING, job.progress.total, job.progress.total)


def print_labels(images: Sequence[LabeledImage]) -> None:
    """A table of each image's label, its source and CLIP's confidence."""
    table = Table("name", "label", "source", "confidence")
    for image in images:
        confidence = "" if image.confidence is None else f"{image.confidence:.2f}"
        table.add_row(Text(image.name), Text(image.label), image.label_source, confidence)
    out.print(table)


def print_jobs(jobs: Sequence[JobSummary]) -> None:
    """A table with a line for each job; times are the reader's own."""
    table = Table("job", "status", "progress", "created")
    for job in jobs:
        progress = f"{job.progress.stage} {job.progress.done}/{job.progress.total}"
        created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(job.id, job.status, progress, created)
    out.print(table)


def print_warnings(warnings: Iterable[JobWarning], *, every: bool = False) -> None:
    """The first warnings, and how many more there are."""
    told = list(warnings)
    shown = told if every else told[:_WARNINGS_SHOWN]
    for warning in shown:
        err.print(f"[yellow]warning:[/] {escape(warning.detail)}", soft_wrap=True)
    if len(told) > len(shown):
        err.print(f"[yellow]and {len(told) - len(shown)} more warnings[/]")


def print_error(message: str) -> None:
    err.print(f"[red]error:[/] {escape(message)}", soft_wrap=True)


def print_child_line(name: str, line: str) -> None:
    """One line of a process of the development stack, after its name."""
    if not line.strip():
        return
    style = _CHILD_STYLES.get(name, "")
    err.print(Text.assemble((f"{name:<10} | ", style), line), soft_wrap=True)
