"""Steps of front end and workers, taken one by one, and time that passes between them."""

from redis import Redis

from shared.job_lifecycle import JobLifecycle
from shared.job_record import IdempotencyKey, JobRecord, NewJob
from shared.job_store import CreatedJob
from shared.keyspace import PREFIX
from shared.schemas import ImageCaption, JobStatus
from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind
from tests.fixtures.waiting import wait_until
from tests.integration.stored_jobs import new_job, with_store

CAPTION, COMPOSE = WorkerKind.CAPTION, WorkerKind.COMPOSE


class FrontEnd:
    """The async store, driven from plain tests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def create(self, job: NewJob, key: IdempotencyKey | None = None) -> CreatedJob:
        created = with_store(self._settings, "create", job, key)
        assert isinstance(created, CreatedJob)
        return created

    def get(self, job: NewJob) -> JobRecord:
        record = with_store(self._settings, "get", job.tenant, job.id)
        assert isinstance(record, JobRecord)
        return record

    def cancel(self, job: NewJob) -> JobStatus:
        status = with_store(self._settings, "cancel", job.tenant, job.id)
        assert isinstance(status, JobStatus)
        return status

    def let_pass(self, seconds: float) -> None:
        """As if it were so much later for all leases: no busy machine can be too slow for them."""
        with Redis.from_url(self._settings.redis_url, decode_responses=True) as redis:
            for kind in WorkerKind:
                key = f"{PREFIX}leases:{kind}"
                for member in redis.zrange(key, 0, -1):
                    redis.zincrby(key, -seconds * 1000, str(member))

    def let_leases_end(self) -> None:
        self.let_pass(self._settings.lease_seconds + 1)


def captions(count: int) -> list[ImageCaption]:
    return [ImageCaption(text=f"caption {n}", confidence=0.5) for n in range(count)]


def grant(lifecycle: JobLifecycle, kind: WorkerKind = CAPTION) -> Ticket:
    [ticket] = lifecycle.dispatch(kind, 1)
    return ticket


def grant_after_pause(lifecycle: JobLifecycle, kind: WorkerKind) -> Ticket:
    """Once the pause after an error is over, which takes its time."""
    return wait_until(lambda: lifecycle.dispatch(kind, 1), what="the pause never ended")[0]


def caption_all(lifecycle: JobLifecycle) -> None:
    while tickets := lifecycle.dispatch(CAPTION, 10):
        for ticket in tickets:
            work = lifecycle.start_captions(ticket)
            assert work is not None
            assert lifecycle.commit_captions(ticket, captions(len(work.images))) == "committed"


def compose_begun(front: FrontEnd, worker: JobLifecycle) -> tuple[NewJob, Ticket]:
    """A job with nothing to caption, whose sheet `worker` has begun."""
    job = new_job(0)
    front.create(job)
    ticket = grant(worker, COMPOSE)
    worker.start_compose(ticket)
    return job, ticket
