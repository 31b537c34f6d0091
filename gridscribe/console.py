"""What the commands print: results on standard output, all else on standard error."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from pydantic import BaseModel, TypeAdapter
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from shared.schemas import (
    Job,
    JobStatus,
    JobSummary,
    JobWarning,
    LabeledImage,
    Manifest,
    Stage,
)

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_WARNINGS_SHOWN = 5
_CHILD_STYLES = {
    "valkey": "magenta",
    "dispatcher": "blue",
    "deliverer": "bright_blue",
    "caption": "green",
    "compose": "cyan",
    "api": "yellow",
    "stack": "bold",
}


class _Counted(ProgressColumn):
    """How much of a bar is done, and how much a second: bytes, or images."""

    def render(self, task: Task) -> Text:
        done, total, speed = task.completed, task.total or 0, task.finished_speed or task.speed
        if task.fields["bytes"]:
            counted = f"{decimal(int(done))} of {decimal(int(total))}"
            rate = f"{decimal(int(speed))}/s" if speed else ""
        else:
            counted = f"{int(done)} of {int(total)}"
            rate = f"{speed:,.1f}/s" if speed else ""
        return Text(f"{counted:<22} {rate}")


class StageProgress:
    """A bar for each stage of a job, with its rate; on a terminal only."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(bar_width=None),
            _Counted(),
            console=err,
            disable=not err.is_terminal,
            expand=True,
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
        self.stop()

    def stop(self) -> None:
        """Leave the bars as they are; what is printed now stands below them."""
        if self._progress.live.is_started:
            self._progress.stop()

    def show(self, stage: str, done: int, total: int, *, in_bytes: bool = False) -> None:
        """Set the bar `stage`; bars of stages before it are full."""
        if stage not in self._tasks:
            for task in self._progress.tasks:
                self._progress.update(task.id, completed=task.total)
            self._tasks[stage] = self._progress.add_task(stage, bytes=in_bytes)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def show_upload(self, sent: int, total: int) -> None:
        self.show("uploading", sent, total, in_bytes=True)

    def show_download(self, received: int, total: int) -> None:
        self.show("fetching", received, total, in_bytes=True)

    def show_job(self, job: Job) -> None:
        if job.progress.stage in (Stage.CAPTIONING, Stage.COMPOSING):
            self.show(job.progress.stage, job.progress.done, job.progress.total)
        elif job.status is JobStatus.SUCCEEDED:  # perhaps between two looks at it
            self.show(Stage.COMPOSING, job.progress.total, job.progress.total)


def print_document(found: object, *, exclude_unset: bool = False) -> None:
    """One JSON document on standard output, indented."""
    out.print_json(_as_json(found, exclude_unset=exclude_unset))


def print_line(found: object, *, exclude_unset: bool = False) -> None:
    """One JSON object on a line of its own."""
    out.out(_as_json(found, exclude_unset=exclude_unset), highlight=False)


def _as_json(found: object, *, exclude_unset: bool) -> str:
    if isinstance(found, BaseModel):
        return found.model_dump_json(exclude_unset=exclude_unset)
    return TypeAdapter(type(found)).dump_json(found).decode()


def listing(*headers: str) -> Table:
    """A table for things with an id, which stands first and is never cut off."""
    table = Table(*headers, box=box.SIMPLE, pad_edge=False)
    table.columns[0].no_wrap = True
    return table


def print_labels(images: Sequence[LabeledImage]) -> None:
    """A table of each image's label, its source and CLIP's confidence."""
    table = Table("name", "label", "source", "confidence")
    for image in images:
        confidence = "" if image.confidence is None else f"{image.confidence:.2f}"
        table.add_row(Text(image.name), Text(image.label), image.label_source, confidence)
    out.print(table)


def print_jobs(jobs: Sequence[JobSummary]) -> None:
    """A table with a line for each job; times are the reader's own."""
    table = listing("job", "status", "progress", "created")
    for job in jobs:
        progress = f"{job.progress.stage} {job.progress.done}/{job.progress.total}"
        created = job.created_at.astimezone().strftime("%b %d %H:%M:%S")
        table.add_row(job.id, job.status, progress, created)
    out.print(table)


def print_manifest(manifest: Manifest) -> None:
    """A table of every image's place and label, and of the reasons for it."""
    table = Table("name", "page", "row", "col", "label", "source", "why")
    for image in manifest.images:
        reasons = "; ".join(image.reasons)
        place = (str(image.page), str(image.row), str(image.col))
        table.add_row(
            Text(image.name), *place, Text(image.label), image.label_source, Text(reasons)
        )
    out.print(table)


def print_warnings(warnings: Iterable[JobWarning], *, every: bool = False) -> None:
    """The first warnings, and how many more there are."""
    told = list(warnings)
    shown = told if every else told[:_WARNINGS_SHOWN]
    for warning in shown:
        err.print(f"[yellow]warning:[/] {escape(warning.detail)}", soft_wrap=True)
    if len(told) > len(shown):
        err.print(f"[yellow]and {len(told) - len(shown)} more warnings[/]")


def print_error(message: str, hint: str | None = None) -> None:
    """What went wrong and, below it, what to do."""
    err.print(f"[red]error:[/] {escape(message)}", soft_wrap=True)
    if hint:
        err.print(f"  {escape(hint)}", soft_wrap=True)


def print_child_line(name: str, line: str) -> None:
    """One line of a process of the development stack, after its name."""
    if not line.strip():
        return
    style = _CHILD_STYLES.get(name, "")
    err.print(Text.assemble((f"{name:<10} | ", style), line), soft_wrap=True)
