"""Deleted jobs: unknown at once, and in the end without a trace."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.counters import COUNTERS
from shared.job_lifecycle import Commit, Hold, JobLifecycle
from shared.keyspace import PREFIX
from shared.object_storage import ObjectStorage
from shared.settings import Settings
from tests.integration.api.hand_work import begin, fail, finish, new_job, store_sheet
from tests.integration.api.served import image_part, png, problem_of
from worker.sweeper import Sweeper

Files = Callable[[], list[Path]]


@pytest.fixture
def sweeper(worker: JobLifecycle, api_settings: Settings) -> Sweeper:
    return Sweeper(worker, ObjectStorage(api_settings.effective_storage_url))


def assert_unknown(client: httpx.Client, job_id: str) -> None:
    for method, address in (
        ("GET", ""),
        ("GET", "/result"),
        ("GET", "/manifest"),
        ("GET", "/events"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ):
        answer = client.request(method, f"/v1/jobs/{job_id}{address}")
        assert problem_of(answer)["code"] == "job_not_found"
    assert client.get("/v1/jobs").json() == {"data": [], "next_cursor": None}


def assert_no_trace(redis: Redis, stored_files: Files) -> None:
    assert stored_files() == []
    keys = {key.removeprefix(PREFIX) for key in redis.scan_iter() if key != COUNTERS}
    # What was stored today counts against the quota, even if it is gone by tonight.
    assert {key.partition(":")[0] for key in keys} <= {"usage", "turn", "wake"}


@pytest.mark.parametrize("state", ["queued", "succeeded", "failed", "canceled"])
def test_a_deleted_job_leaves_nothing(
    client: httpx.Client,
    worker: JobLifecycle,
    api_settings: Settings,
    sweeper: Sweeper,
    redis: Redis,
    stored_files: Files,
    state: str,
) -> None:
    job_id = new_job(client, use_clip=state == "queued")
    match state:
        case "succeeded":
            finish(worker, api_settings, [png(), png()])
        case "failed":
            fail(worker)
        case "canceled":
            client.post(f"/v1/jobs/{job_id}/cancel")
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == state
    answer = client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_unknown(client, job_id)
    assert sweeper.sweep_expired() == 1
    assert_no_trace(redis, stored_files)
    assert_unknown(client, job_id)


def test_a_running_job_keeps_its_files_until_its_worker_has_stopped(
    client: httpx.Client,
    worker: JobLifecycle,
    sweeper: Sweeper,
    api_settings: Settings,
    redis: Redis,
    stored_files: Files,
) -> None:
    job_id = new_job(client)
    ticket = begin(worker)
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_unknown(client, job_id)
    assert sweeper.sweep_expired() == 0
    assert len(stored_files()) == 1, "its worker may be reading"
    assert worker.beat(ticket) is Hold.CANCELED
    result = store_sheet(api_settings, ticket, [png()])
    assert worker.commit_sheet(ticket, result, (), ()) is Commit.CANCELED
    assert sweeper.sweep_expired() == 1
    assert_no_trace(redis, stored_files)


def test_an_expired_job_can_be_deleted_and_is_forgotten(
    client: httpx.Client,
    worker: JobLifecycle,
    sweeper: Sweeper,
    redis: Redis,
    stored_files: Files,
) -> None:
    new_job(client)
    job_id = fail(worker)
    redis.zadd(f"{PREFIX}expiry", {job_id: 0})
    sweeper.sweep_expired()
    assert problem_of(client.get(f"/v1/jobs/{job_id}"))["code"] == "job_expired"
    assert client.get("/v1/jobs").json()["data"] == []
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_unknown(client, job_id)
    sweeper.sweep_expired()
    assert_no_trace(redis, stored_files)


def test_the_key_of_a_deleted_job_makes_a_new_one(client: httpx.Client) -> None:
    def send() -> str:
        answer = client.post(
            "/v1/jobs", files=[image_part("a.png")], headers={"Idempotency-Key": "key-1"}
        )
        return str(answer.json()["id"])

    first = send()
    assert send() == first
    client.delete(f"/v1/jobs/{first}")
    second = send()
    assert second != first
    assert client.get(f"/v1/jobs/{second}").status_code == 200
