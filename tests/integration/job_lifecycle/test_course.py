"""A job's course from acceptance to its end, and what is left of it then."""

from dataclasses import replace

import pytest
from redis import Redis

from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.schemas import Stage
from shared.settings import Settings
from tests.integration.job_lifecycle.steps import (
    CAPTION,
    COMPOSE,
    FrontEnd,
    caption_all,
    captions,
    grant,
)
from tests.integration.stored_jobs import RESULT, new_job


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
    front.create(new_job(0))
    assert worker.dispatch(CAPTION, 10) == []
    assert grant(worker, COMPOSE).unit == "compose"


def test_another_tenants_job_is_not_found(front: FrontEnd) -> None:
    job = new_job()
    front.create(job)
    stranger = replace(job, tenant="guest")
    for ask in (front.get, front.cancel):
        with pytest.raises(GridscribeError) as caught:
            ask(stranger)
        assert caught.value.code is ErrorCode.JOB_NOT_FOUND


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
