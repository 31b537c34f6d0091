"""The client library: submit a job, follow it, fetch its sheet."""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from gridscribe.answers import is_passing, problem_of, retry_after
from gridscribe.job_updates import JobUpdate, read_updates
from gridscribe.sheet_files import page_path, written_whole
from gridscribe.upload_file import ImageInput, UploadProgress, image_part
from shared.job_spec import JobSpec
from shared.schemas import Job, JobList, JobStatus, JobSummary, Manifest, Problem

_FIRST_POLL = 0.1
_POLL_GROWTH = 1.5
_SLOWEST_POLL = 1.0
_FIRST_RETRY = 0.25
_LONGEST_RETRY_AFTER = 60.0
# A proxy set for the outside world has no way to this very machine.
_NO_PROXY = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}

ModelT = TypeVar("ModelT", bound=BaseModel)


class ApiError(Exception):
    """The server refused; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.status} {problem.code})")
        self.problem = problem


class ServerUnreachableError(Exception):
    """No answer came, whatever was tried."""


class JobTimeoutError(Exception):
    """The job goes on, but waiting for it took longer than allowed; `job` is its last state."""

    def __init__(self, job: Job, seconds: float) -> None:
        super().__init__(f"job {job.id} is still {job.status} after {seconds:g} s")
        self.job = job


class Client:
    """Talks to the service at `base_url`. Requests that may pass on a second try, because no
    connection came about or the server said 429 or 503, are repeated up to `retries` times.

    Every method raises `ApiError` or `ServerUnreachableError`.
    """

    def __init__(
        self, base_url: str, *, api_key: str | None = None, timeout: float = 60, retries: int = 4
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._retries = retries
        self._http = httpx.Client(
            base_url=self.base_url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5)),
            mounts=_NO_PROXY,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def create_job(
        self,
        spec: JobSpec,
        images: Sequence[ImageInput],
        csv: Path | bytes | None = None,
        *,
        idempotency_key: str | None = None,
        cancel_after: int | None = None,
        on_upload: Callable[[int, int], None] | None = None,
    ) -> Job:
        """Submit a job; files are streamed from disk.

        All tries carry one key, so that at most one job comes of them; give your own to make a
        later call harmless as well. A job that is not over `cancel_after` seconds later is canceled
        by the service. `on_upload` is told the bytes sent and those there are.
        """
        progress = UploadProgress(on_upload)
        parts: list[tuple[str, tuple[str | None, Any, str]]] = [
            ("spec", (None, spec.model_dump_json(exclude_unset=True), "application/json"))
        ]
        if csv is not None:
            name = csv.name if isinstance(csv, Path) else "labels.csv"
            data = csv.read_bytes() if isinstance(csv, Path) else csv
            parts.append(("csv", (name, data, "text/csv")))
        parts += [("images", image_part(image, progress)) for image in images]
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if cancel_after is not None:
            headers["Cancel-After"] = f"{cancel_after}s"

        def send() -> httpx.Response:
            progress.restart()
            return self._http.post("/v1/jobs", files=parts, headers=headers)

        return _parsed(Job, self._with_retries(send))

    def get_job(self, job_id: str) -> Job:
        return _parsed(Job, self._get_job(job_id))

    def list_jobs(self, status: JobStatus | None = None) -> Iterator[JobSummary]:
        """Your jobs, newest first, page after page as they are asked for."""
        query = {} if status is None else {"status": status.value}
        while True:
            page = _parsed(
                JobList, self._with_retries(partial(self._http.get, "/v1/jobs", params=query))
            )
            yield from page.data
            if page.next_cursor is None:
                return
            query = {**query, "cursor": page.next_cursor}

    def events(self, job_id: str, last_event_id: str | None = None) -> Iterator[JobUpdate]:
        """A job's changes as they happen, until it is over: first the whole job, or with the id of
        an earlier event what came after that one.

        A stream that breaks off is taken up where it was; `retries` counts failures in a row.
        """
        pauses = self._pauses()
        while True:
            headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
            with self._open_stream(f"/v1/jobs/{job_id}/events", headers) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                try:
                    for update in read_updates(response.iter_lines()):
                        pauses, last_event_id = self._pauses(), update.event_id
                        yield update
                        if update.is_last:
                            return
                except httpx.TransportError:
                    pass  # as when the stream just ends: the service goes down, or the job is gone
                except ValidationError as error:
                    raise _not_understood(response, Job, error) from error
            if (pause := next(pauses, None)) is None:
                raise ServerUnreachableError(f"{self.base_url} breaks off the events of {job_id}")
            time.sleep(pause)

    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """The job once it is over, however it ended; `on_progress` is told every state on the way.

        Asks after 0.1 s at first, then ever more slowly, up to the pause that the server asks for.
        Raises `JobTimeoutError` after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_POLL
        while True:
            response = self._get_job(job_id)
            job = _parsed(Job, response)
            if on_progress:
                on_progress(job)
            if job.status.is_terminal:
                return job
            if deadline is not None and time.monotonic() + pause > deadline:
                raise JobTimeoutError(job, timeout or 0)
            time.sleep(pause)
            pause = min(pause * _POLL_GROWTH, retry_after(response) or _SLOWEST_POLL)

    def cancel(self, job_id: str) -> Job:
        return _parsed(
            Job, self._with_retries(lambda: self._http.post(f"/v1/jobs/{job_id}/cancel"))
        )

    def retry(self, job_id: str) -> Job:
        """Begin a failed or canceled job anew, under its id."""
        return _parsed(Job, self._with_retries(lambda: self._http.post(f"/v1/jobs/{job_id}/retry")))

    def delete(self, job_id: str) -> None:
        """Remove a job and its files for good; one that runs is canceled first."""
        self._with_retries(lambda: self._http.delete(f"/v1/jobs/{job_id}"))

    def manifest(self, job_id: str) -> Manifest:
        return _parsed(
            Manifest, self._with_retries(lambda: self._http.get(f"/v1/jobs/{job_id}/manifest"))
        )

    def download(self, job_id: str, path: Path) -> tuple[Path, ...]:
        """Save the sheet as `path`, further pages beside it: `sheet.png`, `sheet-2.png`.

        A file appears under its name only when it is whole. Returns the files, in page order.
        """
        job = self.get_job(job_id)
        pages = job.result.pages if job.result else 1  # without a result the server says why
        path.parent.mkdir(parents=True, exist_ok=True)
        paths = tuple(page_path(path, page) for page in range(1, pages + 1))
        for page, target in enumerate(paths, start=1):
            with written_whole(target) as file:
                self._download_page(job_id, page, file)
        return paths

    def _download_page(self, job_id: str, page: int, file: BinaryIO) -> None:
        def fetch() -> httpx.Response:
            file.seek(0)
            file.truncate()
            with self._http.stream(
                "GET", f"/v1/jobs/{job_id}/result", params={"page": page}, follow_redirects=True
            ) as response:
                if response.is_success:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                else:
                    response.read()
                return response

        self._with_retries(fetch)

    @contextmanager
    def _open_stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        def send() -> httpx.Response:
            request = self._http.build_request("GET", path, headers=headers)
            response = self._http.send(request, stream=True)
            if not response.is_success:
                response.read()
            return response

        response = self._with_retries(send)
        try:
            yield response
        finally:
            response.close()

    def _get_job(self, job_id: str) -> httpx.Response:
        return self._with_retries(lambda: self._http.get(f"/v1/jobs/{job_id}"))

    def _with_retries(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        for pause in [*self._pauses(), None]:
            try:
                response = send()
            except httpx.TransportError as error:
                if pause is None:
                    reason = str(error) or type(error).__name__
                    raise ServerUnreachableError(
                        f"no Gridscribe service answers at {self.base_url}: {reason}"
                    ) from error
                time.sleep(pause)
                continue
            if not is_passing(response) or pause is None:
                break
            time.sleep(max(pause, min(retry_after(response) or 0, _LONGEST_RETRY_AFTER)))
        if not response.is_success:
            raise ApiError(problem_of(response))
        return response

    def _pauses(self) -> Iterator[float]:
        """Seconds before each further try; spread, so that clients do not come back in step."""
        for attempt in range(self._retries):
            yield _FIRST_RETRY * 2**attempt * random.uniform(0.5, 1.0)


def _parsed(model: type[ModelT], response: httpx.Response) -> ModelT:
    try:
        # A newer server may tell more than this client knows.
        return model.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        raise _not_understood(response, model, error) from error


def _not_understood(
    response: httpx.Response, model: type[BaseModel], error: ValidationError
) -> ServerUnreachableError:
    return ServerUnreachableError(
        f"{response.url} gave no {model.__name__}: this is no Gridscribe service, or its"
        f" version does not fit this client's ({error.error_count()} errors)"
    )
