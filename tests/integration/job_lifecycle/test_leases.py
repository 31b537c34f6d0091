"""Leases: who holds one, who lost it, and what counts once."""

from dataclasses import replace

from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.settings import Settings
from tests.integration.job_lifecycle.steps import (
    CAPTION,
    FrontEnd,
    captions,
    compose_begun,
    grant,
)
from tests.integration.stored_jobs import RESULT, new_job


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
    front.let_leases_end()
    second = grant(other)
    assert (second.unit, second.attempt) == (first.unit, 2)
    assert worker.beat(first) is Hold.LOST
    assert worker.commit_captions(first, captions(1)) is Commit.LOST
    assert other.start_captions(second)
    assert other.commit_captions(second, captions(1)) is Commit.COMMITTED
    assert other.commit_captions(second, captions(1)) is Commit.LOST, "a commit counts once"
    assert front.get(job).attempts == 2


def test_a_beat_keeps_the_lease(
    front: FrontEnd, worker: JobLifecycle, other: JobLifecycle, settings: Settings
) -> None:
    front.create(new_job())
    ticket = grant(worker)
    assert worker.start_captions(ticket)
    for _ in range(6):
        front.let_pass(0.4 * settings.lease_seconds)
        assert worker.beat(ticket) is Hold.HELD
        assert other.dispatch(CAPTION, 1) == []


def test_a_message_that_nobody_took_is_no_failure(
    front: FrontEnd, worker: JobLifecycle, settings: Settings
) -> None:
    front.create(new_job())
    grant(worker)
    attempts = []
    for _ in range(settings.max_attempts + 2):
        front.let_leases_end()
        attempts.append(grant(worker).attempt)
    assert attempts == [2, 3, 4, 5, 6]


def test_a_commit_that_is_sent_again_counts_once_and_keeps_its_files(
    front: FrontEnd, worker: JobLifecycle
) -> None:
    job, ticket = compose_begun(front, worker)
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED
    other_attempt = RESULT.model_copy(update={"manifest_key": "of another attempt"})
    assert worker.commit_sheet(ticket, other_attempt, (), ()) is Commit.LOST
    assert front.get(job).result == RESULT
