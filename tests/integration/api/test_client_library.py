"""The client library against a real service, whose work is done here by hand."""

from collections.abc import Iterator

import httpx
import pytest

from gridscribe.client import ApiError, Client
from shared.job_lifecycle import JobLifecycle
from shared.job_spec import JobSpec
from shared.schemas import JobStatus
from shared.settings import Settings
from tests.integration.api.hand_work import begin, fail, finish
from tests.integration.api.served import png


@pytest.fixture
def library(client: httpx.Client) -> Iterator[Client]:
    with Client(str(client.base_url)) as library:
        yield library


def create(library: Client) -> str:
    return library.create_job(JobSpec(), [("a.png", png())]).id


def test_a_job_is_followed_to_its_end(
    library: Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = create(library)
    updates = library.events(job_id)
    first = next(updates)
    assert first.job == library.get_job(job_id)
    ticket = begin(worker)
    second = next(updates)
    assert (second.status, second.progress.stage, second.job) == ("running", "composing", None)
    worker.yield_unit(ticket)
    finish(worker, api_settings, [png()])
    *_, last = updates
    assert last.is_last
    assert last.job == library.get_job(job_id)
    assert list(library.events(job_id, last.event_id)) == []
    assert [update.job for update in library.events(job_id)] == [last.job]


def test_jobs_are_listed_retried_and_deleted(library: Client, worker: JobLifecycle) -> None:
    ids = [create(library)]
    fail(worker)
    ids += [create(library) for _ in range(21)]
    assert [job.id for job in library.list_jobs()] == ids[::-1]
    assert [job.id for job in library.list_jobs(JobStatus.FAILED)] == ids[:1]
    assert library.retry(ids[0]).status is JobStatus.QUEUED
    library.delete(ids[0])
    with pytest.raises(ApiError, match="there is no job"):
        next(library.events(ids[0]))
    with pytest.raises(ApiError, match="there is no job"):
        library.delete(ids[0])


def test_a_job_that_is_deleted_while_it_is_followed_is_reported(library: Client) -> None:
    job_id = create(library)
    updates = library.events(job_id)
    next(updates)
    library.delete(job_id)
    with pytest.raises(ApiError, match="there is no job"):
        next(updates)


def test_a_deadline_reaches_the_service(library: Client, worker: JobLifecycle) -> None:
    job = library.create_job(JobSpec(), [("a.png", png())], cancel_after=1)
    while not worker.cancel_overdue():
        assert library.get_job(job.id).status is JobStatus.QUEUED
    assert library.wait(job.id).status is JobStatus.CANCELED
