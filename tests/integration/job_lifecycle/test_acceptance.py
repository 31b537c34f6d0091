"""Jobs that are accepted, once, or refused."""

import pytest

from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import JobLifecycle
from shared.job_record import IdempotencyKey
from shared.job_store import CreatedJob
from shared.schemas import Stage
from shared.settings import Settings
from tests.integration.job_lifecycle.steps import CAPTION, FrontEnd, caption_all
from tests.integration.stored_jobs import new_job


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
