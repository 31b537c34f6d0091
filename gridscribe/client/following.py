"""Following one job, through restarts of the service."""

import time
from collections.abc import Callable
from typing import TypeAlias

import httpx
from pydantic import ValidationError

from gridscribe.client.answers import is_passing, retry_after
from gridscribe.client.errors import ApiError, JobTimeoutError, ServerUnreachableError
from gridscribe.client.flow import Emit, Feed, Flow, Pause, ReadLine, Request, Stream
from gridscribe.client.job_updates import JobUpdate, UpdateReader
from gridscribe.client.paths import path_of
from gridscribe.client.wire import Wire, not_understood, parsed
from shared.schemas import Job

OnJob: TypeAlias = Callable[[Job], None]

PATIENCE_SECONDS = 60.0
"""How long a service that has answered before may be away."""

_FIRST_POLL = 0.1
_POLL_GROWTH = 1.5
_SLOWEST_POLL = 1.0


class Polling:
    """A job asked for again and again: after 0.1 s at first, then ever more slowly, up to the pause
    that the service asks for. One that has not changed is not sent again.
    """

    def __init__(self, wire: Wire, job_id: str) -> None:
        self._wire = wire
        self._path = path_of("jobs", job_id)
        self._job: Job | None = None
        self._etag = ""
        self._answered_at = 0.0
        self.pause = _FIRST_POLL

    def ask(self) -> Flow[Job]:
        """The job as last known; raises when the service is away for too long."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        slowest = _SLOWEST_POLL
        try:
            response = yield from self._wire.exchange(
                Request("GET", self._path, Job, headers=headers)
            )
        except (ApiError, ServerUnreachableError) as error:
            if self._job is None or not self._may_come_back(error):
                raise
        else:
            self._answered_at = time.monotonic()
            slowest = retry_after(response) or slowest
            if self._job is None or response.status_code != httpx.codes.NOT_MODIFIED:
                self._job = parsed(Job, response)
                self._etag = response.headers.get("ETag", "")
        self.pause = min(self.pause * _POLL_GROWTH, slowest)
        return self._job

    def _may_come_back(self, error: ApiError | ServerUnreachableError) -> bool:
        passing = isinstance(error, ServerUnreachableError) or is_passing(error.problem)
        return passing and time.monotonic() < self._answered_at + PATIENCE_SECONDS


def wait_for(
    wire: Wire, job_id: str, timeout: float | None, on_progress: OnJob | None
) -> Flow[Job]:
    """See `JobFlows.wait`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    polling = Polling(wire, job_id)
    while True:
        job = yield from polling.ask()
        if on_progress:
            on_progress(job)
        if job.status.is_terminal:
            return job
        pause = polling.pause
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise JobTimeoutError(job, timeout or 0)
            pause = min(pause, left)
        yield Pause(pause)


class Following:
    """A job's events, where they can be had, and its polled states, where not."""

    def __init__(self, wire: Wire, job_id: str, last_event_id: str | None) -> None:
        self._wire = wire
        self._job_id = job_id
        self._last_event_id = last_event_id
        self._is_over = False

    def feed(self) -> Feed[JobUpdate]:
        """See `JobFlows.events`."""
        fruitless = self._wire.pauses()
        while not self._is_over:
            heard = self._last_event_id
            stream = yield from self._opened()
            if stream is None:
                return (yield from self._polled())
            if stream.response.status_code == httpx.codes.NO_CONTENT:
                return None
            yield from self._read(stream)
            if self._last_event_id != heard:
                fruitless = self._wire.pauses()
            if not self._is_over:
                if (pause := next(fruitless, None)) is None:
                    return (yield from self._polled())
                yield Pause(pause)
        return None

    def _opened(self) -> Flow[Stream | None]:
        """None where the service, or a proxy before it, has no events to give."""
        last = self._last_event_id
        headers = {} if last is None else {"Last-Event-ID": last}
        request: Request[Job] = Request(
            "GET", path_of("jobs", self._job_id, "events"), headers=headers
        )
        try:
            stream = yield from self._wire.open(request)
        except ApiError as error:
            if is_passing(error.problem):
                return None
            raise
        except ServerUnreachableError:
            if last is None:
                raise
            return None
        kind = stream.response.headers.get("Content-Type", "")
        is_fit = kind.startswith("text/event-stream") or not kind
        return stream if is_fit else None

    def _read(self, stream: Stream) -> Feed[JobUpdate]:
        reader = UpdateReader()
        while True:
            line = yield ReadLine(stream)
            if not isinstance(line, str):
                return  # cut off, or ended: the service goes down, or the job is gone
            try:
                update = reader.take(line)
            except ValidationError as error:
                raise not_understood(stream.response, Job, error) from error
            if update:
                self._last_event_id = update.event_id
                yield Emit(update)
                if update.is_last:
                    self._is_over = True
                    return

    def _polled(self) -> Feed[JobUpdate]:
        polling = Polling(self._wire, self._job_id)
        known = None
        while True:
            job = yield from polling.ask()
            if (job.status, job.progress) != known:
                known = job.status, job.progress
                yield Emit(JobUpdate(None, job.status, job.progress, job))
            if job.status.is_terminal:
                return
            yield Pause(polling.pause)
