"""Jobs that are begun anew."""

import time

import httpx
from redis import Redis

from shared.job_lifecycle import Commit, JobLifecycle
from shared.keyspace import PREFIX
from shared.schemas import ImageCaption
from shared.settings import Settings
from shared.work_units import WorkerKind
from tests.integration.api.hand_work import begin, fail, finish, new_job, store_sheet
from tests.integration.api.served import png, problem_of, serving


def test_a_failed_job_is_begun_anew_under_its_own_id(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings, redis: Redis
) -> None:
    new_job(client)
    url = f"/v1/jobs/{fail(worker)}"
    before = client.get(url).json()
    time.sleep(0.01)
    answer = client.post(f"{url}/retry")
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(url)
    assert int(answer.headers["Retry-After"]) >= 1
    job = answer.json()
    assert (job["id"], job["status"], job["queue_position"]) == (before["id"], "queued", 1)
    assert job["progress"] == {"stage": "waiting", "done": 0, "total": 1}
    assert job["created_at"] == before["created_at"]
    for gone in ("started_at", "finished_at", "expires_at", "error"):
        assert before[gone]
        assert job[gone] is None
    assert job["attempts"] == 0
    assert redis.zcard(f"{PREFIX}expiry") == 0

    finish(worker, api_settings, [png()])
    done = client.get(url).json()
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    assert done["metrics"]["queue_ms"] < 60_000
    assert client.get(f"{url}/result").content == png()


def test_a_canceled_job_is_captioned_from_its_beginning(
    client: httpx.Client, worker: JobLifecycle
) -> None:
    job_id = new_job(client, use_clip=True)
    client.post(f"/v1/jobs/{job_id}/cancel")
    assert client.post(f"/v1/jobs/{job_id}/retry").status_code == 202
    assert [ticket.unit for ticket in worker.dispatch(WorkerKind.CAPTION, 9)] == ["caption:0:1"]


def test_an_attempt_of_the_run_before_cannot_commit_into_the_new_one(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = new_job(client)
    stale = begin(worker)
    result = store_sheet(api_settings, stale, [png()])
    client.post(f"/v1/jobs/{job_id}/cancel")
    worker.yield_unit(stale)
    client.post(f"/v1/jobs/{job_id}/retry")
    fresh = begin(worker)
    assert fresh.attempt > stale.attempt
    assert worker.commit_sheet(stale, result, (), ()) is Commit.LOST
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "running"


def test_a_sheet_of_the_run_before_cannot_commit_either(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    def caption() -> None:
        (ticket,) = worker.dispatch(WorkerKind.CAPTION, 1)
        assert worker.start_captions(ticket) is not None
        worker.commit_captions(ticket, [ImageCaption(text="a fox")])

    job_id = new_job(client, use_clip=True)
    caption()
    stale = begin(worker)
    result = store_sheet(api_settings, stale, [png()])
    client.post(f"/v1/jobs/{job_id}/cancel")
    worker.yield_unit(stale)
    client.post(f"/v1/jobs/{job_id}/retry")
    caption()
    assert begin(worker).attempt > stale.attempt
    assert worker.commit_sheet(stale, result, (), ()) is Commit.LOST


def test_only_failed_and_canceled_jobs_are_retried(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = new_job(client)
    queued = problem_of(client.post(f"/v1/jobs/{job_id}/retry"))
    assert (queued["status"], queued["code"]) == (409, "job_not_retryable")
    assert queued["detail"] == "the job is queued; only a failed or canceled one can be retried"
    finish(worker, api_settings, [png()])
    assert problem_of(client.post(f"/v1/jobs/{job_id}/retry"))["code"] == "job_not_retryable"


def test_a_retry_needs_room_in_the_queue(api_settings: Settings, worker: JobLifecycle) -> None:
    with serving(api_settings.model_copy(update={"max_queued_jobs_per_tenant": 1})) as small:
        new_job(small)
        failed = fail(worker)
        new_job(small)
        refused = small.post(f"/v1/jobs/{failed}/retry")
    assert problem_of(refused)["code"] == "quota_exceeded"
    assert int(refused.headers["Retry-After"]) >= 1
