"""Everything that can be done with jobs: `client.jobs`."""

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from gridscribe.client.binding import (
    AsyncResource,
    Awaited,
    AwaitedFeed,
    Blocking,
    BlockingFeed,
    BlockingResource,
)
from gridscribe.client.errors import UnusableArgumentError
from gridscribe.client.flow import Emit, Feed, Flow, Request
from gridscribe.client.following import Following, OnJob, wait_for
from gridscribe.client.job_updates import JobUpdate
from gridscribe.client.paths import path_of
from gridscribe.client.saving import CountedFile
from gridscribe.client.upload_file import ImageFile, ImageInput, OnBytes, UploadProgress, as_input
from gridscribe.client.uploads import UploadFlows
from gridscribe.client.wire import Wire, parsed
from gridscribe.sheet_files import page_path, written_whole
from shared.errors import ErrorCode
from shared.job_spec import ImageReference, JobSpec
from shared.layout_preview import AxisCounts, Preview
from shared.schemas import Job, JobList, JobStatus, JobSummary, Manifest

Spec: TypeAlias = JobSpec | Mapping[str, Any]
"""Checked here, or fields that the service is to check."""


class JobFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create(
        self,
        images: Sequence[ImageInput],
        spec: Spec | None = None,
        *,
        csv: Path | bytes | None = None,
        idempotency_key: str | None = None,
        cancel_after: int | None = None,
        on_upload: OnBytes | None = None,
    ) -> Flow[Job]:
        """Submit a job; files are streamed from disk.

        All tries carry one key, so that at most one job comes of them; give your own to make a
        later call harmless as well. A job that is not over `cancel_after` seconds later is canceled
        by the service. `on_upload` is told the bytes sent and those there are.

        Where an image is given by reference, the files go ahead of the job, one by one.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if cancel_after is not None:
            headers["Cancel-After"] = f"{cancel_after}s"
        inputs = [as_input(image) for image in images]
        progress = UploadProgress(on_upload)
        if any(isinstance(image, ImageReference) for image in inputs):
            references = yield from self._sent_ahead(inputs, progress)
            body = _json_body(references, spec, csv)
            request = Request("POST", path_of("jobs"), Job, headers=headers, json=body)
        else:
            files = [image for image in inputs if not isinstance(image, ImageReference)]
            parts = _parts(files, spec, csv, progress)
            request = Request("POST", path_of("jobs"), Job, headers=headers, files=parts)
        return (yield from self._wire.ask(request))

    def get(self, job_id: str) -> Flow[Job]:
        """The job as it is now."""
        return (yield from self._wire.ask(Request("GET", path_of("jobs", job_id), Job)))

    def list(self, status: JobStatus | None = None) -> Feed[JobSummary]:
        """Your jobs, newest first, page after page as they are asked for."""
        query: dict[str, str | int] = {} if status is None else {"status": status.value}
        while True:
            page = yield from self._wire.ask(Request("GET", path_of("jobs"), JobList, params=query))
            for job in page.data:
                yield Emit(job)
            if page.next_cursor is None:
                return
            query = {**query, "cursor": page.next_cursor}

    def wait(
        self, job_id: str, timeout: float | None = None, on_progress: OnJob | None = None
    ) -> Flow[Job]:
        """The job once it is over, however it ended; `on_progress` is told every state on the way.

        A service that goes away meanwhile is given a minute to come back. Raises `JobTimeoutError`
        after `timeout` seconds.
        """
        return (yield from wait_for(self._wire, job_id, timeout, on_progress))

    def events(self, job_id: str, last_event_id: str | None = None) -> Feed[JobUpdate]:
        """A job's changes as they happen, until it is over: first the whole job, or with the id of
        an earlier event what came after that one.

        A stream that breaks off is taken up where it was. Where no stream can be had, because of a
        proxy or of too many listeners, the job is asked for instead.
        """
        return (yield from Following(self._wire, job_id, last_event_id).feed())

    def cancel(self, job_id: str) -> Flow[Job]:
        """End a job; one that runs stops at its next step."""
        request = Request("POST", path_of("jobs", job_id, "cancel"), Job)
        return (yield from self._wire.ask(request))

    def retry(self, job_id: str) -> Flow[Job]:
        """Begin a failed or canceled job anew, under its id."""
        response = yield from self._wire.exchange(
            Request(
                *("POST", path_of("jobs", job_id, "retry"), Job),
                done_codes=frozenset({ErrorCode.JOB_NOT_RETRYABLE}),
            )
        )
        if response.is_success:
            return parsed(Job, response)
        return (yield from self.get(job_id))

    def relabel(
        self,
        job_id: str,
        labels: Mapping[int, str | None] | None = None,
        spec: Spec | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Make a new job of a job's images. `labels` puts labels right by the image's index, None
        takes an earlier correction back; what `spec` does not name is as in the job, which stays.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        body = {"labels": dict(labels or {}), "spec": _spec_fields(spec)}
        request = Request(
            *("POST", path_of("jobs", job_id, "relabel"), Job),
            headers=headers,
            json=json.dumps(body).encode(),
        )
        return (yield from self._wire.ask(request))

    def delete(self, job_id: str) -> Flow[None]:
        """Remove a job and its files for good; one that runs is canceled first."""
        yield from self._wire.exchange(
            Request(
                *("DELETE", path_of("jobs", job_id)),
                done_codes=frozenset({ErrorCode.JOB_NOT_FOUND}),
            )
        )

    def manifest(self, job_id: str) -> Flow[Manifest]:
        """Where every image stands, its label, and where the label came from."""
        request = Request("GET", path_of("jobs", job_id, "manifest"), Manifest)
        return (yield from self._wire.ask(request))

    def download(
        self, job_id: str, path: Path, on_download: OnBytes | None = None
    ) -> Flow[tuple[Path, ...]]:
        """Save the sheet as `path`, further pages beside it: `sheet.png`, `sheet-2.png`.

        A file appears under its name only when it is whole. `on_download` is told the bytes of the
        pages so far, and those of the whole sheet. Returns the files, in page order.
        """
        job = yield from self.get(job_id)
        pages = job.result.pages if job.result else 1  # without a result the server says why
        path.parent.mkdir(parents=True, exist_ok=True)
        paths = tuple(page_path(path, page) for page in range(1, pages + 1))
        received = 0
        for page, target in enumerate(paths, start=1):
            with written_whole(target) as file:
                counted = CountedFile(file, on_download, received, job.result)
                yield from self.save_page(job_id, page, counted)
                received += file.tell()
        return paths

    def save_page(self, job_id: str, page: int, sink: CountedFile) -> Flow[httpx.Response]:
        """Write one page, from 1, into `sink`, anew where a try breaks off."""
        request: Request[Any] = Request(
            "GET", path_of("jobs", job_id, "result"), params={"page": page}
        )
        return (yield from self._wire.exchange(request, sink))

    def preview(
        self,
        count: int,
        spec: Spec | None = None,
        axis_counts: AxisCounts | None = None,
        label_lines: int | None = None,
    ) -> Flow[Preview]:
        """Where everything would stand on a sheet of `count` images; nothing is made.

        `label_lines` are those of the longest label; without them bands are as high as they may
        become.
        """
        body: dict[str, Any] = {"spec": _spec_fields(spec), "count": count}
        if label_lines is not None:
            body["label_lines"] = label_lines
        if axis_counts:
            body["axis_counts"] = axis_counts.model_dump()
        request = Request("POST", path_of("preview"), Preview, json=json.dumps(body).encode())
        return (yield from self._wire.ask(request))

    def _sent_ahead(
        self, inputs: Sequence[ImageFile | ImageReference], progress: UploadProgress
    ) -> Flow[Sequence[ImageReference]]:
        uploads = UploadFlows(self._wire)
        files = {
            index: progress.file(image)
            for index, image in enumerate(inputs)
            if not isinstance(image, ImageReference)
        }
        references = []
        for index, image in enumerate(inputs):
            if isinstance(image, ImageReference):
                references.append(image)
            else:
                upload = yield from uploads.send(files[index])
                references.append(ImageReference(upload_id=upload.upload_id))
        return references


def _spec_fields(spec: Spec | None) -> dict[str, Any]:
    if isinstance(spec, JobSpec):
        return spec.model_dump(mode="json", exclude_unset=True)
    return dict(spec or {})


def _parts(
    images: Sequence[ImageFile],
    spec: Spec | None,
    csv: Path | bytes | None,
    progress: UploadProgress,
) -> list[tuple[str, Any]]:
    fields = json.dumps(_spec_fields(spec)).encode()
    parts: list[tuple[str, Any]] = [("spec", (None, fields, "application/json"))]
    if csv is not None:
        name = csv.name if isinstance(csv, Path) else "labels.csv"
        data = csv.read_bytes() if isinstance(csv, Path) else csv
        parts.append(("csv", (name, data, "text/csv")))
    files = [progress.file(image) for image in images]
    return parts + [("images", (file.name, file, "application/octet-stream")) for file in files]


def _json_body(
    references: Sequence[ImageReference], spec: Spec | None, csv: Path | bytes | None
) -> bytes:
    body: dict[str, Any] = {
        "spec": _spec_fields(spec),
        "images": [image.model_dump(mode="json", exclude_unset=True) for image in references],
    }
    if csv is not None:
        data = csv.read_bytes() if isinstance(csv, Path) else csv
        try:
            body["csv"] = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnusableArgumentError(
                f"beside images by reference a CSV has to be UTF-8: {error}"
            ) from error
    return json.dumps(body).encode()


class Jobs(BlockingResource):
    """`Client.jobs`."""

    create = Blocking(JobFlows.create)
    get = Blocking(JobFlows.get)
    list = BlockingFeed(JobFlows.list)
    wait = Blocking(JobFlows.wait)
    events = BlockingFeed(JobFlows.events)
    cancel = Blocking(JobFlows.cancel)
    retry = Blocking(JobFlows.retry)
    relabel = Blocking(JobFlows.relabel)
    delete = Blocking(JobFlows.delete)
    manifest = Blocking(JobFlows.manifest)
    download = Blocking(JobFlows.download)
    preview = Blocking(JobFlows.preview)


class AsyncJobs(AsyncResource):
    """`AsyncClient.jobs`."""

    create = Awaited(JobFlows.create)
    get = Awaited(JobFlows.get)
    list = AwaitedFeed(JobFlows.list)
    wait = Awaited(JobFlows.wait)
    events = AwaitedFeed(JobFlows.events)
    cancel = Awaited(JobFlows.cancel)
    retry = Awaited(JobFlows.retry)
    relabel = Awaited(JobFlows.relabel)
    delete = Awaited(JobFlows.delete)
    manifest = Awaited(JobFlows.manifest)
    download = Awaited(JobFlows.download)
    preview = Awaited(JobFlows.preview)
