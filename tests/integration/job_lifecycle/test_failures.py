"""Work that kills its workers, and errors that come again or do not."""

import time

from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import JobLifecycle
from shared.schemas import Stage
from tests.integration.job_lifecycle.steps import (
    CAPTION,
    COMPOSE,
    FrontEnd,
    captions,
    compose_begun,
    grant,
    grant_after_pause,
)
from tests.integration.stored_jobs import new_job


def test_a_chunk_that_kills_every_worker_is_halved_until_one_image_stands_alone(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    poison = 2
    job = new_job(4)
    front.create(job)
    deadline = time.monotonic() + 60
    deaths = 0
    while front.get(job).stage is not Stage.COMPOSING:
        assert time.monotonic() < deadline
        for ticket in worker.dispatch(CAPTION, 1):
            work = worker.start_captions(ticket)
            assert work is not None
            if any(image.name == f"{poison}.png" for image in work.images):
                deaths += 1  # never heard of again
                front.let_leases_end()
            else:
                worker.commit_captions(ticket, captions(len(work.images)))
    assert deaths == 5, "three times whole, then once a half and once alone"
    compose = worker.start_compose(grant(worker, COMPOSE))
    assert compose is not None
    assert [bool(compose.captions[n].text) for n in range(4)] == [True, True, False, True]
    assert "stopped answering" in (compose.captions[poison].reason or "")


def test_an_error_is_tried_again_after_a_pause_and_at_last_fails_the_sheet(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job = new_job(0)
    front.create(job)
    started = time.monotonic()
    for _ in range(3):
        ticket = grant_after_pause(worker, COMPOSE)
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
    job, ticket = compose_begun(front, worker)
    worker.fail_job(ticket, GridscribeError(ErrorCode.NO_READABLE_IMAGE, "nothing to show"))
    record = front.get(job)
    assert record.status == "failed"
    assert record.failure is not None
    assert record.failure.detail == "nothing to show"
