"""Jobs made of another job's images."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from shared.job_lifecycle import ComposeWork, JobLifecycle
from shared.object_storage import ObjectStorage
from shared.settings import Settings
from shared.work_units import WorkerKind
from tests.integration.api.hand_work import finish
from tests.integration.api.served import image_part, png, problem_of, serving, spec_part, submit

CSV = ("csv", ("labels.csv", b"filename,label,seed\na.png,From the CSV,7\n"))


def job_of_two(client: httpx.Client, **spec: object) -> str:
    parts = [image_part("a.png"), image_part("b.png", png(color="blue")), CSV, spec_part(spec)]
    answer = submit(client, *parts)
    assert answer.status_code == 202, answer.text
    return f"/v1/jobs/{answer.json()['id']}"


def relabel(client: httpx.Client, job: str, **request: object) -> httpx.Response:
    return client.post(f"{job}/relabel", json=request)


def next_sheet(worker: JobLifecycle) -> ComposeWork:
    """The work that a compose worker would do next."""
    ticket = worker.dispatch(WorkerKind.COMPOSE, 1)[0]
    work = worker.start_compose(ticket)
    assert work is not None
    return work


def test_the_new_job_has_the_same_files_and_the_corrected_label(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job = job_of_two(client, cols=2)
    before = finish(worker, api_settings, [png()])
    answer = relabel(client, job, labels={"0": "  Put right "})
    assert answer.status_code == 202
    made = answer.json()
    assert made["id"] != before
    assert answer.headers["Location"] == made["urls"]["self"]
    assert made["spec"] == {**client.get(job).json()["spec"]}

    work = next_sheet(worker)
    assert [image.correction for image in work.images] == ["Put right", None]
    assert work.images[0].csv_row == {"filename": "a.png", "label": "From the CSV", "seed": "7"}
    assert work.has_csv
    storage = ObjectStorage(api_settings.effective_storage_url)
    contents = []
    for image in work.images:
        assert made["id"] in image.key
        with storage.open(image.key) as file:
            contents.append(file.read())
    assert contents == [png(), png(color="blue")]
    assert client.get(job).json()["status"] == "succeeded"


def test_a_correction_is_kept_and_can_be_taken_back(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    first = job_of_two(client)
    next_sheet(worker)
    second = relabel(client, first, labels={"0": "one", "1": "two"}).json()["urls"]["self"]
    next_sheet(worker)
    relabel(client, second, labels={"1": None})
    assert [image.correction for image in next_sheet(worker).images] == ["one", None]


def test_what_the_spec_names_differs_and_the_rest_stays(client: httpx.Client) -> None:
    job = job_of_two(client, cols=2, margin=3, title="Owls", metadata={"shot": 7})
    made = relabel(client, job, spec={"format": "pdf", "cols": None}).json()
    assert made["spec"]["format"] == "pdf"
    assert made["spec"]["cols"] is None
    assert made["spec"]["margin"] == 3
    assert made["spec"]["title"] == "Owls"
    assert made["metadata"] == {"shot": 7}


def test_a_template_replaces_the_layout(client: httpx.Client) -> None:
    job = job_of_two(client, cols=2, margin=3, title="Owls")
    spec = relabel(client, job, spec={"template": "wide"}).json()["spec"]
    assert (spec["cols"], spec["margin"], spec["title"]) == (5, 10, "Owls")


def test_files_outlive_the_job_they_came_from(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job = job_of_two(client)
    relabel(client, job)
    storage = ObjectStorage(api_settings.effective_storage_url)
    storage.delete_prefix(f"jobs/{job.rpartition('/')[2]}")
    next_sheet(worker)
    for image in next_sheet(worker).images:
        with storage.open(image.key) as file:
            assert file.read(4) == b"\x89PNG"


@pytest.mark.parametrize(
    ("request_body", "location"),
    [
        ({"labels": {"2": "x"}}, "labels.2"),
        ({"labels": {"0": " "}}, "labels.0"),
        ({"labels": {"first": "x"}}, "labels.first"),
        ({"spec": {"margin": -1}}, "spec.margin"),
        ({"spec": {"labels": ["price"]}}, "spec.labels[0]"),
        ({"spec": {"candidates": ["a"]}}, "spec"),
        ({"spec": {"template": "nope"}}, "spec.template"),
        ({"pictures": []}, "pictures"),
    ],
)
def test_a_refusal_names_the_part_and_leaves_nothing(
    client: httpx.Client,
    stored_files: Callable[[], list[Path]],
    request_body: dict[str, object],
    location: str,
) -> None:
    job = job_of_two(client, vocabulary="default")
    before = sorted(stored_files())
    problem = problem_of(relabel(client, job, **request_body))
    assert problem["errors"][0]["location"].startswith(location)
    assert sorted(stored_files()) == before
    assert len(client.get("/v1/jobs").json()["data"]) == 1


def test_the_same_key_gives_the_same_job(
    client: httpx.Client, stored_files: Callable[[], list[Path]]
) -> None:
    job = job_of_two(client)
    headers = {"Idempotency-Key": "again"}
    body = json.dumps({"labels": {"0": "x"}})
    ids = {
        client.post(f"{job}/relabel", content=body, headers=headers).json()["id"] for _ in range(2)
    }
    assert len(ids) == 1
    assert len(stored_files()) == 4
    other = client.post(f"{job}/relabel", json={"labels": {"0": "y"}}, headers=headers)
    assert problem_of(other)["code"] == "idempotency_mismatch"


def test_the_images_count_for_the_days_quota(client: httpx.Client, api_settings: Settings) -> None:
    job = job_of_two(client)
    with serving(api_settings.model_copy(update={"images_per_day": 3})) as strict:
        problem = problem_of(relabel(strict, job))
    assert problem["code"] == "quota_exceeded"


def test_files_that_are_gone_make_no_job(client: httpx.Client, api_settings: Settings) -> None:
    job = job_of_two(client)
    prefix = f"jobs/{job.rpartition('/')[2]}"
    ObjectStorage(api_settings.effective_storage_url).delete_prefix(prefix)
    assert problem_of(relabel(client, job))["code"] == "job_expired"
