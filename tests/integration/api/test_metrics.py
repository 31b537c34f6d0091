"""`GET /metrics`, read as Prometheus reads it."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from shared.api_keys import ApiKeys
from shared.counters import Counters
from shared.job_lifecycle import Commit, JobLifecycle
from shared.settings import Settings
from shared.work_units import WorkerKind, WorkerStamp
from tests.integration.api.served import image_part, serving, spec_part, submit
from tests.integration.stored_jobs import RESULT
from worker.backend import connect_lifecycle

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(client: httpx.Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"gridscribe_{name}", tuple(sorted(labels.items()))), 0)


@pytest.fixture
def worker(api_settings: Settings) -> JobLifecycle:
    return connect_lifecycle(api_settings)


def finish_a_job(client: httpx.Client, worker: JobLifecycle) -> None:
    assert submit(client, image_part("a.png"), image_part("b.png")).status_code == 202
    (ticket,) = worker.dispatch(WorkerKind.COMPOSE, 1)
    assert worker.start_compose(ticket)
    assert worker.commit_sheet(ticket, RESULT, (), ()) is Commit.COMMITTED


def test_jobs_are_counted_from_their_acceptance_to_their_end(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    finish_a_job(client, worker)
    waiting = submit(client, spec_part({"use_clip": True}), image_part("c.png")).json()["id"]
    submit(client, image_part("d.png"))
    samples = scrape(client)
    assert value(samples, "jobs_accepted_total") == 3
    assert value(samples, "images_accepted_total") == 4
    assert value(samples, "jobs_finished_total", status="succeeded") == 1
    assert value(samples, "jobs", state="queued") == 2
    assert value(samples, "jobs", state="running") == 0
    assert value(samples, "units_waiting", kind="caption") == 1
    assert value(samples, "units_waiting", kind="compose") == 1
    client.post(f"/v1/jobs/{waiting}/cancel")
    samples = scrape(client)
    assert value(samples, "jobs_finished_total", status="canceled") == 1
    assert value(samples, "units_waiting", kind="caption") == 0


def test_stages_have_histograms(client: httpx.Client, worker: JobLifecycle) -> None:
    finish_a_job(client, worker)
    samples = scrape(client)
    for stage in ("queue", "compose"):
        assert value(samples, "job_stage_seconds_count", stage=stage) == 1
        assert value(samples, "job_stage_seconds_bucket", stage=stage, le="+Inf") == 1
        assert value(samples, "job_stage_seconds_bucket", stage=stage, le="2097.152") == 1
        assert 0 <= value(samples, "job_stage_seconds_sum", stage=stage) < 60
    assert value(samples, "job_stage_seconds_count", stage="caption") == 0


def test_workers_are_counted_with_what_they_can_do_and_what_they_have_counted(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    worker.stamp(WorkerStamp(owner=worker.owner, kind=WorkerKind.CAPTION, capacity=32))
    counters = Counters()
    for size in (1, 2, 3, 32, 33):
        counters.observe("batch_images", value=size)
    worker.bring_counts(counters)
    worker.bring_counts(counters)  # nothing is brought twice
    samples = scrape(client)
    assert value(samples, "workers", kind="caption") == 1
    assert value(samples, "workers", kind="compose") == 0
    assert value(samples, "worker_capacity", kind="caption") == 32
    within = {
        bound: value(samples, "batch_images_bucket", le=bound)
        for bound in ("1.0", "2.0", "4.0", "32.0", "64.0")
    }
    assert list(within.values()) == [1, 2, 3, 4, 5]
    assert value(samples, "batch_images_sum") == 71


def test_requests_are_counted_by_route_never_by_a_callers_words(client: httpx.Client) -> None:
    scrape(client)
    client.get("/v1/jobs/0190b3c4-0000-7000-8000-000000000000")
    client.get("/v1/jobs/also-not-there")
    client.request("BREW", "/v1/models")
    client.get("/hostile/%22%7B|}")
    client.post("/v1/preview", content=b"x" * 1000)
    samples = scrape(client)
    route = {"method": "GET", "route": "/v1/jobs/{job_id}"}
    assert value(samples, "requests_total", **route, status="404") == 2
    assert value(samples, "request_seconds_count", **route) == 2
    assert value(samples, "refusals_total", code="job_not_found") == 2
    assert value(samples, "received_bytes_total") == 1000
    shown = str(samples)
    for word in ("BREW", "hostile", "also-not-there"):
        assert word not in shown


def test_a_second_process_shows_the_same_numbers(
    client: httpx.Client, api_settings: Settings
) -> None:
    client.get("/v1/models")
    scrape(client)  # which brings what the first process has counted
    with serving(api_settings) as other:
        samples = scrape(other)
    labels = {"method": "GET", "route": "/v1/models", "status": "200"}
    assert value(samples, "requests_total", **labels) == 1


def test_what_was_counted_when_the_process_ends_is_brought(
    api_settings: Settings, client: httpx.Client
) -> None:
    with serving(api_settings) as other:
        other.get("/v1/models")
    labels = {"method": "GET", "route": "/v1/models", "status": "200"}
    assert value(scrape(client), "requests_total", **labels) == 1


def test_the_numbers_are_for_the_operator(api_settings: Settings, redis: Redis) -> None:
    operators, _ = ApiKeys(redis).create("default")
    others, _ = ApiKeys(redis).create("studio")
    with serving(api_settings.model_copy(update={"auth": "required"})) as locked:
        for secret, status in (("", 401), (others, 403), (operators, 200)):
            headers = {"Authorization": f"Bearer {secret}"} if secret else {}
            assert locked.get("/metrics", headers=headers).status_code == status
