"""Cancels that meet a job in each phase."""

from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.schemas import JobStatus
from tests.integration.job_lifecycle.steps import CAPTION, FrontEnd, compose_begun, grant
from tests.integration.stored_jobs import RESULT, new_job


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
    front.let_leases_end()
    assert worker.dispatch(CAPTION, 10) == []
    assert front.get(job).status == "canceled"


def test_a_cancel_that_was_answered_wins_over_the_finished_sheet(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job, ticket = compose_begun(front, worker)
    assert front.cancel(job) is JobStatus.CANCELING
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.CANCELED
    assert front.get(job).status == "canceled"
