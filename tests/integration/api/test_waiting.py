"""Callers who wait for a job, and jobs that must not take too long."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from shared.settings import Settings
from shared.work_units import WorkerKind
from tests.fixtures.waiting import PATIENCE, wait_until
from tests.integration.api.hand_work import begin, finish, new_job
from tests.integration.api.served import GOOD, png, problem_of, serving

SLACK = 30.0
"""Seconds that a busy machine may take for what is done at once; to wait in vain takes a minute."""


def send(client: httpx.Client, **headers: str) -> httpx.Response:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/jobs", files=[GOOD], headers=spelled)


def wait_until_queued(redis: Redis) -> None:
    wait_until(lambda: redis.zcard(f"{PREFIX}queued"))


def test_a_caller_who_waits_gets_the_finished_job(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings, redis: Redis
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, client, Prefer="respond-async, wait=60")
        wait_until_queued(redis)
        started = time.monotonic()
        job_id = finish(worker, api_settings, [png()])
        answer = waiting.result(PATIENCE)
    assert time.monotonic() - started < SLACK
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=60")
    assert "Retry-After" not in answer.headers
    assert answer.headers["Location"].endswith(job_id)
    assert answer.json() == client.get(f"/v1/jobs/{job_id}").json()


def test_a_caller_waits_no_longer_than_asked(client: httpx.Client) -> None:
    started = time.monotonic()
    answer = send(client, Prefer="wait=1")
    assert 0.9 < time.monotonic() - started < 1 + SLACK
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_wait_is_capped(client: httpx.Client, redis: Redis) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send, client, Prefer='wait="900"; strict')
        wait_until_queued(redis)
        (job,) = client.get("/v1/jobs").json()["data"]
        client.post(f"/v1/jobs/{job['id']}/cancel")
        answer = waiting.result(PATIENCE)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert answer.headers["Preference-Applied"] == "wait=60"


@pytest.mark.parametrize("preference", ["", "wait=soon", "wait=-1", "wait=0", "await=60", "wait"])
def test_a_preference_that_is_none_is_ignored(client: httpx.Client, preference: str) -> None:
    started = time.monotonic()
    answer = send(client, Prefer=preference)
    assert time.monotonic() - started < SLACK
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_who_cannot_wait_gets_the_accepted_job(api_settings: Settings) -> None:
    with serving(api_settings.model_copy(update={"max_event_listeners": 0})) as full:
        started = time.monotonic()
        answer = send(full, Prefer="wait=60")
        assert time.monotonic() - started < SLACK
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("168h", 604_800)]
)
def test_a_deadline_counts_from_now(
    client: httpx.Client, redis: Redis, text: str, seconds: int
) -> None:
    job_id = send(client, Cancel_After=text).json()["id"]
    now, _ = redis.time()
    deadline = redis.zscore(f"{PREFIX}deadlines", job_id)
    assert deadline is not None
    assert seconds - SLACK < deadline / 1000 - now <= seconds + 1


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5h", "10 m", "1d", "169h", "9" * 12, "1H"])
def test_a_deadline_that_is_none_is_refused(client: httpx.Client, text: str) -> None:
    problem = problem_of(send(client, Cancel_After=text))
    assert (problem["status"], problem["errors"][0]["location"]) == (400, "Cancel-After")


def test_a_job_that_waits_past_its_deadline_is_canceled_and_says_why(
    client: httpx.Client, worker: JobLifecycle, redis: Redis
) -> None:
    job_id = send(client, Cancel_After="10m").json()["id"]
    assert worker.cancel_overdue() == []
    redis.zadd(f"{PREFIX}deadlines", {job_id: 1})
    assert worker.cancel_overdue() == [job_id]
    assert worker.cancel_overdue() == []
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "canceled"
    assert (job["error"]["code"], job["error"]["detail"]) == (
        "deadline_exceeded",
        "not over after 600 s, the time that Cancel-After gave it",
    )


def test_a_job_that_runs_past_its_deadline_is_stopped(
    client: httpx.Client, worker: JobLifecycle, redis: Redis
) -> None:
    job_id = send(client, Cancel_After="1h").json()["id"]
    ticket = begin(worker)
    redis.zadd(f"{PREFIX}deadlines", {job_id: 1})
    assert worker.cancel_overdue() == [job_id]
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "canceling"
    worker.yield_unit(ticket)
    assert client.get(f"/v1/jobs/{job_id}").json()["error"]["code"] == "deadline_exceeded"
    retried = client.post(f"/v1/jobs/{job_id}/retry").json()
    assert (retried["status"], retried["error"]) == ("queued", None)
    assert redis.zscore(f"{PREFIX}deadlines", job_id), "the retry has as long again"


def test_a_job_that_was_in_time_has_no_deadline_any_more(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings, redis: Redis
) -> None:
    send(client, Cancel_After="1h")
    finish(worker, api_settings, [png()])
    assert redis.zcard(f"{PREFIX}deadlines") == 0


def test_a_job_is_sent_again_only_when_it_is_news(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    ahead, url = new_job(client), f"/v1/jobs/{new_job(client)}"
    first = client.get(url)
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    for tags in (etag, f'"x", W/{etag}', "*"):
        same = client.get(url, headers={"If-None-Match": tags})
        assert (same.status_code, same.content) == (304, b"")
        assert (same.headers["ETag"], same.headers["Retry-After"]) == (etag, "1")
    client.post(f"/v1/jobs/{ahead}/cancel")  # moves the other one up in the queue
    moved = client.get(url, headers={"If-None-Match": etag})
    assert (moved.status_code, moved.json()["queue_position"]) == (200, 1)
    assert moved.headers["ETag"] != etag
    assert worker.dispatch(WorkerKind.CAPTION, 1) == []
