"""The client library against a real service, whose work is done here by hand."""

from collections.abc import Iterator

import httpx
import pytest

from gridscribe import ApiError, Client
from gridscribe.client import ImageInput
from shared.job_lifecycle import JobLifecycle
from shared.job_spec import ImageReference, JobSpec, Template
from shared.schemas import JobStatus
from shared.settings import Settings
from tests.fixtures.cutting_proxy import CuttingProxy
from tests.integration.api.hand_work import begin, fail, finish
from tests.integration.api.served import png


@pytest.fixture
def library(client: httpx.Client) -> Iterator[Client]:
    with Client(str(client.base_url)) as library:
        yield library


def create(library: Client) -> str:
    return library.jobs.create([("a.png", png())]).id


def test_a_job_is_followed_to_its_end(
    library: Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = create(library)
    updates = library.jobs.events(job_id)
    first = next(updates)
    assert first.job == library.jobs.get(job_id)
    ticket = begin(worker)
    second = next(updates)
    assert (second.status, second.progress.stage, second.job) == ("running", "composing", None)
    worker.yield_unit(ticket)
    finish(worker, api_settings, [png()])
    *_, last = updates
    assert last.is_last
    assert last.job == library.jobs.get(job_id)
    assert list(library.jobs.events(job_id, last.event_id)) == []
    assert [update.job for update in library.jobs.events(job_id)] == [last.job]


def test_jobs_are_listed_retried_and_deleted(library: Client, worker: JobLifecycle) -> None:
    ids = [create(library)]
    fail(worker)
    ids += [create(library) for _ in range(21)]
    assert [job.id for job in library.jobs.list()] == ids[::-1]
    assert [job.id for job in library.jobs.list(JobStatus.FAILED)] == ids[:1]
    assert library.jobs.retry(ids[0]).status is JobStatus.QUEUED
    library.jobs.delete(ids[0])
    with pytest.raises(ApiError, match="there is no job"):
        next(library.jobs.events(ids[0]))
    with pytest.raises(ApiError, match="there is no job"):
        library.jobs.delete(ids[0])


def test_a_job_that_is_deleted_while_it_is_followed_is_reported(library: Client) -> None:
    job_id = create(library)
    updates = library.jobs.events(job_id)
    next(updates)
    library.jobs.delete(job_id)
    with pytest.raises(ApiError, match="there is no job"):
        next(updates)


def test_a_deadline_reaches_the_service(library: Client, worker: JobLifecycle) -> None:
    job = library.jobs.create([("a.png", png())], cancel_after=1)
    while not worker.cancel_overdue():
        assert library.jobs.get(job.id).status is JobStatus.QUEUED
    assert library.jobs.wait(job.id).status is JobStatus.CANCELED


def test_a_job_whose_answer_was_cut_off_is_made_once(client: httpx.Client, library: Client) -> None:
    with CuttingProxy(client.base_url.port or 0) as proxy:
        proxy.cuts = 2
        with Client(proxy.url) as cut:
            job = cut.jobs.create([("a.png", png())])
            assert (proxy.cuts, [it.id for it in library.jobs.list()]) == (0, [job.id])
            proxy.cuts = 1
            cut.jobs.delete(job.id)
            assert (proxy.cuts, list(library.jobs.list())) == (0, [])


def test_uploads_and_files_become_one_job_in_the_order_given(library: Client) -> None:
    upload = library.uploads.create(("first.png", png()))
    images: list[ImageInput] = [
        ImageReference(upload_id=upload.upload_id, label="owl"),
        ("second.png", png()),
    ]
    job = library.jobs.create(images, JobSpec(cols=2))
    assert job.spec.cols == 2
    assert job.progress.total == 2
    with pytest.raises(ApiError, match="no links") as caught:
        library.uploads.presign("a.png")
    assert caught.value.code == "presign_not_offered"


def test_templates_of_ones_own_come_and_go(library: Client) -> None:
    built_in = library.templates.list()
    assert all(template.built_in for template in built_in)
    library.templates.create("mine", Template(cols=4))
    assert library.templates.save("mine", Template(cols=5)).spec.cols == 5
    assert library.templates.get("mine").spec.model_fields_set == {"cols"}
    assert library.jobs.preview(10, {"template": "mine"}).cols == 5
    library.templates.delete("mine")
    assert library.templates.list() == built_in


def test_what_the_service_offers_and_lacks_is_told(library: Client) -> None:
    assert [model.name for model in library.models.list() if model.default] == ["starter"]
    assert "default" in [vocabulary.name for vocabulary in library.vocabularies.list()]
    readiness = library.service.ready()
    assert readiness.store
    assert "compose workers" in readiness.missing
