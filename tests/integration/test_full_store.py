"""A store without any room: what is new is refused whole, what was accepted is carried on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from shared import job_lifecycle
from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.job_record import IdempotencyKey
from shared.schemas import ImageCaption, JobStatus
from shared.settings import Settings
from shared.work_units import WorkerKind, WorkerStamp
from tests.fixtures.store_dump import dump
from tests.integration.stored_jobs import RESULT, new_job, with_store

KEY = IdempotencyKey("key", "fingerprint")


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        yield redis
        redis.config_set("maxmemory", 0)


def test_an_accepted_job_goes_through_a_store_that_is_full(
    settings: Settings, redis: Redis
) -> None:
    job, unwanted = new_job(), new_job()
    for each in (job, unwanted):
        with_store(settings, "create", each)
    redis.config_set("maxmemory", 1)
    with job_lifecycle.connect(settings) as connection:
        worker = JobLifecycle(connection, settings, "worker")
        worker.stamp(WorkerStamp(owner="worker", kind=WorkerKind.CAPTION, capacity=1))
        [ticket] = worker.dispatch(WorkerKind.CAPTION, 1)
        assert worker.start_captions(ticket) is not None
        assert worker.beat(ticket) is Hold.HELD
        assert worker.commit_captions(ticket, [ImageCaption(text="owl")]) is Commit.COMMITTED
        [ticket] = worker.dispatch(WorkerKind.COMPOSE, 1)
        assert worker.start_compose(ticket) is not None
        assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED
        assert with_store(settings, "cancel", "default", unwanted.id) is JobStatus.CANCELED
    assert redis.hget(f"{{gridscribe}}:job:{job.id}", "status") == "succeeded"


def test_what_is_new_is_refused_without_a_trace(settings: Settings, redis: Redis) -> None:
    job = new_job()
    with_store(settings, "create", job)
    with_store(settings, "cancel", "default", job.id)
    before = dump(redis)
    redis.config_set("maxmemory", 1)
    for call in (("create", new_job(), KEY), ("reserve", "default", "key", "id")):
        with pytest.raises(OutOfMemoryError):
            with_store(settings, *call)
    with pytest.raises((OutOfMemoryError, GridscribeError)):
        with_store(settings, "retry", "default", job.id)
    assert dump(redis) == before


def test_new_jobs_are_refused_before_there_is_no_room(settings: Settings, redis: Redis) -> None:
    redis.config_set("maxmemory", round(redis.info("memory")["used_memory"] / 0.95))
    with pytest.raises(GridscribeError, match=r"has used \d+ % of its memory") as refused:
        with_store(settings, "create", new_job())
    assert refused.value.code is ErrorCode.SERVICE_FULL


@pytest.mark.parametrize(
    "script",
    [
        path
        for path in sorted((Path(__file__).parents[2] / "shared" / "lua").glob("*.lua"))
        if path.stem not in ("common", "deliveries", "inbound")
    ],
    ids=lambda path: path.stem,
)
def test_every_script_says_what_it_may_do_in_a_full_store(script: Path) -> None:
    first, _ = script.read_text().split("\n", 1)
    assert first in ("#!lua", "#!lua flags=allow-oom", "#!lua flags=no-writes")
