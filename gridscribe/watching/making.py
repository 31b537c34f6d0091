"""Where a batch's sheet is made: by a service, or on this machine."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gridscribe.client import ApiError, Client
from gridscribe.local import make_sheet
from gridscribe.watching.memory import Batch, KnownImage, WatchMemory
from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import JobSpec
from shared.schemas import JobStatus

if TYPE_CHECKING:
    from worker.captioning.captioning import Captioning

METADATA_KEY = "gridscribe_watch"
"""Under it a job's metadata has the key of its batch."""

_IMAGE = re.compile(r"images\[(\d+)\]")
_CLOCKS_APART = timedelta(hours=1)


class RefusedImagesError(Exception):
    """Images that no sheet can have, with the reasons by their names."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(reasons.values()))
        self.reasons = reasons


class ChangedImagesError(Exception):
    """Images that went, or were written again, before they were sent."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


@dataclass(frozen=True, slots=True)
class Made:
    """How a batch ended."""

    files: tuple[Path, ...] = ()
    error: str | None = None
    """Why there is no sheet."""
    begin_anew: bool = False
    """The sheet went before it was fetched; it can be made again."""


class Maker(Protocol):
    def begin(self, batch: Batch) -> Batch:
        """Have a sheet made of the batch. Raises `RefusedImagesError` or `ChangedImagesError` for
        some of its images.
        """
        ...

    def end(self, batch: Batch) -> Made | None:
        """What came of it; None while it is being made."""
        ...


class ServiceMaker:
    """Both methods raise `ClientError` when the service is away or refuses the batch."""

    def __init__(
        self, client: Client, folder: Path, output: Path, spec: JobSpec, memory: WatchMemory
    ) -> None:
        self._client = client
        self._folder = folder
        self._output = output
        self._spec = spec
        self._memory = memory

    def begin(self, batch: Batch) -> Batch:
        if batch.job_id is not None:
            return batch
        job_id = self._accepted_before(batch) if batch.sent else None
        if job_id is None:
            check_unchanged(self._folder, batch)
            batch = self._memory.mark_sent(batch)
            try:
                job_id = self._submitted(batch)
            except OSError:
                check_unchanged(self._folder, batch)
                raise
        return self._memory.mark_accepted(batch, job_id)

    def end(self, batch: Batch) -> Made | None:
        assert batch.job_id is not None  # noqa: S101  # `begin` gave it one
        try:
            job = self._client.jobs.get(batch.job_id)
            if not job.status.is_terminal:
                return None
            if job.status is JobStatus.SUCCEEDED:
                path = self._output / f"{batch.stem}.{job.spec.format}"
                return Made(self._client.jobs.download(job.id, path))
        except ApiError as error:
            if error.code == ErrorCode.JOB_EXPIRED:
                return Made(begin_anew=True)
            if error.code == ErrorCode.JOB_NOT_FOUND:
                return Made(error=f"job {batch.job_id} was deleted")
            raise
        return Made(error=job.error.detail if job.error else f"the job ended as {job.status}")

    def _accepted_before(self, batch: Batch) -> str | None:
        """The job whose acceptance nobody heard of: this process was killed, or cut off."""
        oldest = batch.created_at - _CLOCKS_APART
        for job in self._client.jobs.list():
            if job.metadata.get(METADATA_KEY) == batch.key:
                return job.id
            if job.created_at < oldest:
                break
        return None

    def _submitted(self, batch: Batch) -> str:
        metadata = {**self._spec.metadata, METADATA_KEY: batch.key}
        fields = {**self._spec.model_dump(exclude_unset=True), "metadata": metadata}
        try:
            return self._client.jobs.create(
                [self._folder / image.name for image in batch.images],
                JobSpec.model_validate(fields),
                idempotency_key=batch.key,
            ).id
        except ApiError as error:
            reasons = {}
            for each in error.problem.errors:
                place = _IMAGE.match(each.get("location", ""))
                if place and int(place[1]) < len(batch.images):
                    reasons[batch.images[int(place[1])].name] = each.get("detail", str(error))
            if reasons:
                raise RefusedImagesError(reasons) from error
            raise


class LocalMaker:
    def __init__(
        self,
        folder: Path,
        output: Path,
        spec: JobSpec,
        captioning: "Captioning | None",
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self._folder = folder
        self._output = output
        self._spec = spec
        self._captioning = captioning
        self._on_progress = on_progress

    def begin(self, batch: Batch) -> Batch:
        check_unchanged(self._folder, batch)
        return batch

    def end(self, batch: Batch) -> Made | None:
        try:
            sheet = make_sheet(
                self._spec,
                [self._folder / image.name for image in batch.images],
                self._output / f"{batch.stem}.{self._spec.format}",
                captioning=self._captioning,
                on_progress=self._on_progress,
            )
        except GridscribeError as error:
            return Made(error=error.detail)
        return Made(sheet.pages)


def check_unchanged(folder: Path, batch: Batch) -> None:
    """Raises `ChangedImagesError`."""
    if gone := [image.name for image in batch.images if not _is_there(folder, image)]:
        raise ChangedImagesError(gone)


def _is_there(folder: Path, image: KnownImage) -> bool:
    try:
        status = (folder / image.name).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (image.size, image.mtime_ns)
