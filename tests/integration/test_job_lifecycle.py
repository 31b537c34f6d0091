"""The life of a job in the store, step by step, against a real server."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import uuid6
from redis import Redis

from shared import job_lifecycle, job_store
from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.job_record import IdempotencyKey, JobRecord, NewJob
from shared.job_spec import JobSpec, Priority
from shared.job_store import CreatedJob, JobStore
from shared.schemas import ImageCaption, JobStatus, SourceImage, Stage, StoredPage, StoredResult
from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind

CAPTION, COMPOSE = WorkerKind.CAPTION, WorkerKind.COMPOSE
RESULT = StoredResult(
    media_type="image/png",
    extension="png",
    pages=(StoredPage(key="k", width=1, height=1, bytes=1, sha256="0"),),
    manifest_key="m",
)


def new_job(count: int = 1, *, tenant: str = "default", **spec: object) -> NewJob:
    images = tuple(
        SourceImage(
            name=f"{n}.png", key=f"k{n}", media_type="image/png", width=1, height=1, bytes=1,
            sha256="0",
        )
        for n in range(count)
    )  # fmt: skip
    job_spec = JobSpec.model_validate({"use_clip": True, **spec})
    return NewJob(str(uuid6.uuid7()), tenant, job_spec, images, tuple(range(count)))


class FrontEnd:
    """The async store, driven from plain tests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def _with_store(self, method: str, *args: object) -> object:
        redis = job_store.connect(self._settings)
        try:
            return await getattr(JobStore(redis, self._settings), method)(*args)
        finally:
            await redis.aclose()

    def create(self, job: NewJob, key: IdempotencyKey | None = None) -> CreatedJob:
        created = asyncio.run(self._with_store("create", job, key))
        assert isinstance(created, CreatedJob)
        return created

    def get(self, job: NewJob) -> JobRecord:
        record = asyncio.run(self._with_store("get", job.tenant, job.id))
        assert isinstance(record, JobRecord)
        return record

    def cancel(self, job: NewJob) -> JobStatus:
        status = asyncio.run(self._with_store("cancel", job.tenant, job.id))
        assert isinstance(status, JobStatus)
        return status


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Leases short enough to see them run out."""
    return settings.model_copy(update={"lease_seconds": 0.15, "chunk_size": 4})


@pytest.fixture
def front(quick: Settings) -> FrontEnd:
    return FrontEnd(quick)


@pytest.fixture
def worker(quick: Settings) -> Iterator[JobLifecycle]:
    redis = job_lifecycle.connect(quick)
    yield JobLifecycle(redis, quick, "worker-a")
    redis.close()


@pytest.fixture
def other(quick: Settings) -> Iterator[JobLifecycle]:
    redis = job_lifecycle.connect(quick)
    yield JobLifecycle(redis, quick, "worker-b")
    redis.close()


def captions(count: int) -> list[ImageCaption]:
    return [ImageCaption(text=f"caption {n}", confidence=0.5) for n in range(count)]


def grant(lifecycle: JobLifecycle, kind: WorkerKind = CAPTION) -> Ticket:
    [ticket] = lifecycle.dispatch(kind, 1)
    return ticket


def grant_when_lease_ends(lifecycle: JobLifecycle, kind: WorkerKind = CAPTION) -> Ticket:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if tickets := lifecycle.dispatch(kind, 1):
            return tickets[0]
        time.sleep(0.02)
    raise AssertionError("the lease never ended")


def caption_all(lifecycle: JobLifecycle) -> None:
    while tickets := lifecycle.dispatch(CAPTION, 10):
        for ticket in tickets:
            work = lifecycle.start_captions(ticket)
            assert work is not None
            assert lifecycle.commit_captions(ticket, captions(len(work.images))) == "committed"


def test_a_job_goes_from_queued_over_running_to_succeeded(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = new_job(2)
    front.create(job)
    record = front.get(job)
    assert (record.status, record.stage, record.queue_position) == ("queued", "waiting", 1)

    ticket = grant(worker)
    work = worker.start_captions(ticket)
    assert work is not None
    assert [image.name for image in work.images] == ["0.png", "1.png"]
    record = front.get(job)
    assert (record.status, record.stage, record.queue_position) == ("running", "captioning", None)

    assert worker.commit_captions(ticket, captions(2)) is Commit.COMMITTED
    record = front.get(job)
    assert (record.stage, record.captions_done) == (Stage.COMPOSING, 2)

    ticket = grant(worker, COMPOSE)
    compose = worker.start_compose(ticket)
    assert compose is not None
    assert compose.captions[1].text == "caption 1"
    assert worker.beat(ticket, done=1) is Hold.HELD
    assert front.get(job).composed == 1
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED

    record = front.get(job)
    assert (record.status, record.stage, record.result) == ("succeeded", "done", RESULT)
    assert record.finished_at is not None
    assert record.expires_at is not None
    assert record.expires_at > record.finished_at


def test_a_job_with_nothing_to_caption_is_composed_at_once(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    front.create(replace(new_job(), to_caption=()))
    assert worker.dispatch(CAPTION, 10) == []
    assert grant(worker, COMPOSE).unit == "compose"


def test_only_the_granted_attempt_begins_and_only_once(
    front: FrontEnd, worker: JobLifecycle, other: JobLifecycle
) -> None:
    front.create(new_job())
    ticket = grant(worker)
    assert other.start_captions(replace(ticket, attempt=2)) is None
    assert worker.start_captions(ticket) is not None
    assert other.start_captions(ticket) is None, "the same message delivered twice"


def test_a_lease_that_ran_out_is_granted_again_and_the_late_commit_is_refused(
    front: FrontEnd, worker: JobLifecycle, other: JobLifecycle
) -> None:
    job = new_job()
    front.create(job)
    first = grant(worker)
    assert worker.start_captions(first)
    second = grant_when_lease_ends(other)
    assert (second.unit, second.attempt) == (first.unit, 2)
    assert worker.beat(first) is Hold.LOST
    assert worker.commit_captions(first, captions(1)) is Commit.LOST
    assert other.start_captions(second)
    assert other.commit_captions(second, captions(1)) is Commit.COMMITTED
    assert other.commit_captions(second, captions(1)) is Commit.LOST, "a commit counts once"
    assert front.get(job).attempts == 2


def test_a_beat_keeps_the_lease(front: FrontEnd, worker: JobLifecycle, other: JobLifecycle) -> None:
    front.create(new_job())
    ticket = grant(worker)
    assert worker.start_captions(ticket)
    for _ in range(6):
        time.sleep(0.06)
        assert worker.beat(ticket) is Hold.HELD
        assert other.dispatch(CAPTION, 1) == []


def test_a_message_that_nobody_took_is_no_failure(
    front: FrontEnd, worker: JobLifecycle, quick: Settings
) -> None:
    front.create(new_job())
    grant(worker)
    attempts = [grant_when_lease_ends(worker).attempt for _ in range(quick.max_attempts + 2)]
    assert attempts == [2, 3, 4, 5, 6]


def test_a_chunk_that_kills_every_worker_is_halved_until_one_image_stands_alone(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    poison = 2
    job = new_job(4)
    front.create(job)
    deadline = time.monotonic() + 20
    deaths = 0
    while front.get(job).stage is not Stage.COMPOSING:
        assert time.monotonic() < deadline
        for ticket in worker.dispatch(CAPTION, 1):
            work = worker.start_captions(ticket)
            assert work is not None
            if any(image.name == f"{poison}.png" for image in work.images):
                deaths += 1  # never heard of again
            else:
                worker.commit_captions(ticket, captions(len(work.images)))
        time.sleep(0.02)
    assert deaths == 5, "three times whole, then once a half and once alone"
    compose = worker.start_compose(grant(worker, COMPOSE))
    assert compose is not None
    assert [bool(compose.captions[n].text) for n in range(4)] == [True, True, False, True]
    assert "stopped answering" in (compose.captions[poison].reason or "")


def test_an_error_is_tried_again_after_a_pause_and_at_last_fails_the_sheet(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = replace(new_job(), to_caption=())
    front.create(job)
    started = time.monotonic()
    for _ in range(3):
        ticket = grant_when_lease_ends(worker, COMPOSE)
        assert worker.start_compose(ticket)
        worker.fail_attempt(ticket, "OSError: no space left")
    assert time.monotonic() - started >= 3, "pauses of one and two seconds"
    record = front.get(job)
    assert record.status == "failed"
    assert record.failure is not None
    assert record.failure.code is ErrorCode.COMPOSE_FAILED
    assert "no space left" in record.failure.detail


def test_an_error_that_another_try_would_not_mend_fails_the_job_at_once(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = replace(new_job(), to_caption=())
    front.create(job)
    ticket = grant(worker, COMPOSE)
    worker.start_compose(ticket)
    worker.fail_job(ticket, GridscribeError(ErrorCode.NO_READABLE_IMAGE, "nothing to show"))
    record = front.get(job)
    assert record.status == "failed"
    assert record.failure is not None
    assert record.failure.detail == "nothing to show"


def test_cancel_ends_a_queued_job_at_once(front: FrontEnd, worker: JobLifecycle) -> None:
    job = new_job(8)
    front.create(job)
    ticket = grant(worker)  # published, but not begun
    assert front.cancel(job) is JobStatus.CANCELED
    assert worker.start_captions(ticket) is None
    assert worker.dispatch(CAPTION, 10) == []
    assert front.cancel(job) is JobStatus.CANCELED


def test_cancel_of_a_running_job_waits_for_the_running_chunk(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = new_job(8)
    front.create(job)
    ticket = grant(worker)
    worker.start_captions(ticket)
    assert front.cancel(job) is JobStatus.CANCELING
    assert worker.dispatch(CAPTION, 10) == [], "the other chunk is not begun any more"
    assert worker.beat(ticket) is Hold.CANCELED
    worker.yield_unit(ticket)
    assert front.get(job).status == "canceled"


def test_cancel_of_a_running_job_whose_worker_died_ends_with_the_lease(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = new_job()
    front.create(job)
    worker.start_captions(grant(worker))
    assert front.cancel(job) is JobStatus.CANCELING
    time.sleep(0.2)
    assert worker.dispatch(CAPTION, 10) == []
    assert front.get(job).status == "canceled"


def test_a_cancel_that_was_answered_wins_over_the_finished_sheet(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = replace(new_job(), to_caption=())
    front.create(job)
    ticket = grant(worker, COMPOSE)
    worker.start_compose(ticket)
    assert front.cancel(job) is JobStatus.CANCELING
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.CANCELED
    assert front.get(job).status == "canceled"


def test_tenants_and_jobs_take_turns(front: FrontEnd, worker: JobLifecycle) -> None:
    huge, small = new_job(400), new_job(4)
    guest = new_job(4, tenant="guest")
    for job in (huge, small, guest):
        front.create(job)
    first = [ticket.job_id for ticket in worker.dispatch(CAPTION, 4)]
    assert first == [huge.id, guest.id, small.id, huge.id]


def test_the_last_places_are_for_tenants_who_hold_none(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    huge = new_job(400)
    front.create(huge)
    first = [ticket.job_id for ticket in worker.dispatch(CAPTION, 6, 2)]
    assert first == [huge.id] * 4, "two of six are kept free"
    assert worker.dispatch(CAPTION, 2, 2) == []
    guests = [new_job(60, tenant=f"guest {n}") for n in range(3)]
    for guest in guests:
        front.create(guest)
    served = [ticket.job_id for ticket in worker.dispatch(CAPTION, 2, 2)]
    assert served == [guests[0].id, guests[1].id]
    more = [ticket.job_id for ticket in worker.dispatch(CAPTION, 4, 2)]
    assert more == [huge.id, guests[2].id], "all hold something now: two stay free"


def test_one_job_has_no_more_chunks_out_than_its_window(
    front: FrontEnd, worker: JobLifecycle, quick: Settings
) -> None:
    front.create(new_job(400))
    tickets = worker.dispatch(CAPTION, 1000)
    assert len(tickets) == quick.job_window
    work = worker.start_captions(tickets[0])
    assert work is not None
    worker.commit_captions(tickets[0], captions(len(work.images)))
    assert len(worker.dispatch(CAPTION, 1000)) == 1


def test_priority_orders_the_jobs_of_one_tenant(front: FrontEnd, worker: JobLifecycle) -> None:
    jobs = {priority: new_job(priority=priority) for priority in Priority}
    for job in jobs.values():
        front.create(job)
    order = [ticket.job_id for ticket in worker.dispatch(CAPTION, 3)]
    assert order == [jobs[p].id for p in (Priority.HIGH, Priority.NORMAL, Priority.LOW)]


def test_two_dispatchers_never_grant_the_same_unit(
    front: FrontEnd, worker: JobLifecycle, other: JobLifecycle
) -> None:
    front.create(new_job(32))
    tickets = [*worker.dispatch(CAPTION, 4), *other.dispatch(CAPTION, 4)]
    assert len({ticket.unit for ticket in tickets}) == len(tickets) == 8


def test_creating_wakes_a_waiting_dispatcher(front: FrontEnd, worker: JobLifecycle) -> None:
    front.create(new_job())
    started = time.monotonic()
    worker.wait_for_work(5)
    assert time.monotonic() - started < 1


def test_an_idempotency_key_gives_the_first_job_again(front: FrontEnd) -> None:
    first, again, different = new_job(), new_job(), new_job()
    assert front.create(first, IdempotencyKey("k", "f")) == CreatedJob(first.id, replayed=False)
    assert front.create(again, IdempotencyKey("k", "f")) == CreatedJob(first.id, replayed=True)
    with pytest.raises(GridscribeError) as caught:
        front.create(different, IdempotencyKey("k", "other payload"))
    assert caught.value.code is ErrorCode.IDEMPOTENCY_MISMATCH
    stranger = new_job(tenant="guest")
    assert front.create(stranger, IdempotencyKey("k", "f")).id == stranger.id


def test_a_create_that_is_sent_again_changes_nothing(front: FrontEnd, worker: JobLifecycle) -> None:
    job = new_job()
    front.create(job)
    caption_all(worker)
    assert front.create(job).id == job.id
    assert front.get(job).stage is Stage.COMPOSING
    assert worker.dispatch(CAPTION, 10) == []


def test_a_full_queue_refuses_and_stores_nothing(settings: Settings) -> None:
    front = FrontEnd(settings.model_copy(update={"max_queued_jobs_per_tenant": 1}))
    front.create(new_job())
    refused = new_job()
    with pytest.raises(GridscribeError) as caught:
        front.create(refused)
    assert caught.value.code is ErrorCode.QUOTA_EXCEEDED
    assert caught.value.retry_after
    with pytest.raises(GridscribeError, match="there is no job"):
        front.get(refused)
    full = FrontEnd(settings.model_copy(update={"max_queued_jobs": 1}))
    with pytest.raises(GridscribeError) as caught:
        full.create(new_job(tenant="guest"))
    assert caught.value.code is ErrorCode.SERVICE_FULL


def test_another_tenants_job_is_not_found(front: FrontEnd) -> None:
    job = new_job()
    front.create(job)
    stranger = replace(job, tenant="guest")
    for ask in (front.get, front.cancel):
        with pytest.raises(GridscribeError) as caught:
            ask(stranger)
        assert caught.value.code is ErrorCode.JOB_NOT_FOUND


def test_a_commit_that_is_sent_again_counts_once_and_keeps_its_files(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = replace(new_job(), to_caption=())
    front.create(job)
    ticket = grant(worker, COMPOSE)
    worker.start_compose(ticket)
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED
    other_attempt = RESULT.model_copy(update={"manifest_key": "of another attempt"})
    assert worker.commit_sheet(ticket, other_attempt, (), ()) is Commit.LOST
    assert front.get(job).result == RESULT


def test_an_expired_job_is_gone_but_not_forgotten(
    front: FrontEnd, worker: JobLifecycle, settings: Settings
) -> None:
    job = new_job()
    front.create(job)
    front.cancel(job)
    redis = Redis.from_url(settings.redis_url)
    redis.zadd("{gridscribe}:expiry", {job.id: 0})
    assert worker.expired_jobs() == [job.id]
    assert worker.expired_jobs() == [job.id], "until it is forgotten, a crash repeats the sweep"
    worker.forget(job.id)
    assert worker.expired_jobs() == []
    with pytest.raises(GridscribeError) as caught:
        front.get(job)
    assert caught.value.code is ErrorCode.JOB_EXPIRED


def test_a_finished_job_leaves_no_trace_in_the_queue(
    front: FrontEnd, worker: JobLifecycle, settings: Settings
) -> None:
    job = new_job(8)
    front.create(job)
    caption_all(worker)
    ticket = grant(worker, COMPOSE)
    worker.start_compose(ticket)
    worker.commit_sheet(ticket, RESULT, (), ())
    redis = Redis.from_url(settings.redis_url, decode_responses=True)
    keys = {key.removeprefix("{gridscribe}:") for key in redis.scan_iter()} - {"turn", "wake"}
    left = {key for key in keys if not key.startswith(("usage:", "counters"))}  # numbers only
    record = f"job:{job.id}"
    assert left == {record, f"{record}:images", f"{record}:events", "jobs:default", "expiry"}
    assert redis.pttl(f"{{gridscribe}}:{record}:events") > 0
    assert redis.hget(f"{{gridscribe}}:job:{job.id}", "inflight") == "0"
    assert redis.hget(f"{{gridscribe}}:job:{job.id}", "commits") == "3"
