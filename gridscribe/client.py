"""The client library: submit a job, follow it, fetch its sheet."""

import email.utils
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from gridscribe.sheet_files import page_path, written_whole
from gridscribe.upload_file import UploadFile
from shared.schemas import Job, JobSpec, Manifest, Problem

ImageInput = Path | tuple[str, bytes]
"""A file, or a name and the bytes of one."""

_FIRST_POLL = 0.1
_POLL_GROWTH = 1.5
_SLOWEST_POLL = 1.0
_FIRST_RETRY = 0.25
_LONGEST_RETRY_AFTER = 60.0
_PASSING = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
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
        on_upload: Callable[[int, int], None] | None = None,
    ) -> Job:
        """Submit a job; files are streamed from disk.

        All tries carry one key, so that at most one job comes of them; give your own to make a
        later call harmless as well. `on_upload` is told the bytes sent and those there are.
        """
        progress = _UploadProgress(on_upload)
        parts: list[tuple[str, tuple[str | None, Any, str]]] = [
            ("spec", (None, spec.model_dump_json(exclude_unset=True), "application/json"))
        ]
        if csv is not None:
            name = csv.name if isinstance(csv, Path) else "labels.csv"
            data = csv.read_bytes() if isinstance(csv, Path) else csv
            parts.append(("csv", (name, data, "text/csv")))
        parts += [("images", _image_part(image, progress)) for image in images]
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}

        def send() -> httpx.Response:
            progress.restart()
            return self._http.post("/v1/jobs", files=parts, headers=headers)

        return _parsed(Job, self._with_retries(send))

    def get_job(self, job_id: str) -> Job:
        return _parsed(Job, self._get_job(job_id))

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
            pause = min(pause * _POLL_GROWTH, _retry_after(response) or _SLOWEST_POLL)

    def cancel(self, job_id: str) -> Job:
        return _parsed(
            Job, self._with_retries(lambda: self._http.post(f"/v1/jobs/{job_id}/cancel"))
        )

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
            if response.status_code not in _PASSING or pause is None:
                break
            time.sleep(max(pause, min(_retry_after(response) or 0, _LONGEST_RETRY_AFTER)))
        if not response.is_success:
            raise ApiError(_problem(response))
        return response

    def _pauses(self) -> Iterator[float]:
        """Seconds before each further try; spread, so that clients do not come back in step."""
        for attempt in range(self._retries):
            yield _FIRST_RETRY * 2**attempt * random.uniform(0.5, 1.0)


class _UploadProgress:
    """Adds up what all files of one request have sent."""

    def __init__(self, listener: Callable[[int, int], None] | None) -> None:
        self._listener = listener
        self._sent = 0
        self.total = 0

    def restart(self) -> None:
        self._sent = 0

    def add(self, count: int) -> None:
        self._sent += count
        if self._listener:
            self._listener(self._sent, self.total)


def _image_part(image: ImageInput, progress: _UploadProgress) -> tuple[str, Any, str]:
    if isinstance(image, tuple):
        name, data = image
        return name, data, "application/octet-stream"
    progress.total += image.stat().st_size
    return image.name, UploadFile(image, progress.add), "application/octet-stream"


def _parsed(model: type[ModelT], response: httpx.Response) -> ModelT:
    try:
        # A newer server may tell more than this client knows.
        return model.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        raise ServerUnreachableError(
            f"{response.url} gave no {model.__name__}: this is no Gridscribe service, or its"
            f" version does not fit this client's ({error.error_count()} errors)"
        ) from error


def _problem(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content, extra="ignore")
    except ValidationError:  # a proxy answered, or no Gridscribe at all
        return Problem(
            type="about:blank",
            title=response.reason_phrase,
            status=response.status_code,
            detail=response.text.strip()[:200] or response.reason_phrase,
            code="unexpected_answer",
        )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, given as such or as a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
