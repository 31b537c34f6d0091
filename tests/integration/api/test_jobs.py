"""Watching, canceling and collecting jobs whose work is done here by hand, in the real store."""

import hashlib

import httpx
import pytest
from redis import Redis

from shared.errors import ErrorCode, GridscribeError
from shared.job_lifecycle import JobLifecycle
from shared.object_storage import ObjectStorage
from shared.schemas import Manifest
from shared.settings import Settings
from shared.work_units import WorkerKind, WorkerStamp
from tests.integration.api.hand_work import MANIFEST, begin, finish, new_job
from tests.integration.api.served import png

UNKNOWN = "0190b3c4-0000-7000-8000-000000000000"


def test_a_job_is_watched_until_its_sheet_is_there(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = new_job(client)
    not_ready = client.get(f"/v1/jobs/{job_id}/result")
    assert (not_ready.status_code, not_ready.json()["code"]) == (409, "result_not_ready")
    assert int(not_ready.headers["Retry-After"]) >= 1

    page = png(8, 6)
    finish(worker, api_settings, [page])
    answer = client.get(f"/v1/jobs/{job_id}")
    job = answer.json()
    assert "Retry-After" not in answer.headers
    assert job["status"] == "succeeded"
    assert job["progress"] == {"stage": "done", "done": 1, "total": 1}
    assert job["result"]["pages"] == 1
    assert job["result"]["sha256"] == hashlib.sha256(page).hexdigest()
    assert job["metrics"]["queue_ms"] >= 0
    assert job["metrics"]["caption_ms"] is None
    assert job["metrics"]["compose_ms"] >= 0

    sheet = client.get(job["result"]["url"])
    assert sheet.content == page
    assert sheet.headers["Content-Type"] == "image/png"
    assert sheet.headers["Content-Disposition"] == f'inline; filename="sheet-{job_id}.png"'
    assert sheet.headers["ETag"] == f'"{job["result"]["sha256"]}"'
    assert Manifest.model_validate_json(client.get(job["urls"]["manifest"]).content) == MANIFEST


def test_a_sheet_is_served_by_page_in_ranges_and_only_when_it_is_news(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    url = f"/v1/jobs/{new_job(client)}/result"
    pages = [png(8, 6), png(4, 3, "blue")]
    finish(worker, api_settings, pages)

    second = client.get(url, params={"page": 2, "disposition": "attachment"})
    assert second.content == pages[1]
    assert second.headers["Content-Disposition"].startswith("attachment;")
    assert second.headers["Content-Disposition"].endswith('-page-2.png"')
    part = client.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    same = client.get(url, params={"page": 2}, headers={"If-None-Match": second.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    changed = client.get(url, headers={"If-None-Match": second.headers["ETag"]})
    assert changed.status_code == 200
    missing = client.get(url, params={"page": 3})
    assert (missing.status_code, missing.json()["errors"][0]["location"]) == (400, "page")
    assert client.get(url, params={"page": 0}).json()["errors"][0]["location"] == "page"


def test_a_sheet_whose_file_is_gone_has_expired(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = new_job(client)
    finish(worker, api_settings, [png()])
    ObjectStorage(api_settings.effective_storage_url).delete_prefix(f"jobs/{job_id}")
    for address in ("result", "manifest"):
        answer = client.get(f"/v1/jobs/{job_id}/{address}")
        assert (answer.status_code, answer.json()["code"]) == (410, "job_expired")


def test_a_waiting_job_is_canceled_at_once_and_again_without_harm(client: httpx.Client) -> None:
    job_id = new_job(client)
    for _ in range(2):
        answer = client.post(f"/v1/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    refused = client.get(f"/v1/jobs/{job_id}/result")
    assert refused.json()["detail"] == "the job ended as canceled: it has no result"
    assert "Retry-After" not in refused.headers


def test_a_running_job_is_asked_to_stop(client: httpx.Client, worker: JobLifecycle) -> None:
    job_id = new_job(client)
    ticket = begin(worker)
    answer = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceling")
    assert int(answer.headers["Retry-After"]) >= 1
    worker.fail_job(ticket, GridscribeError(ErrorCode.COMPOSE_FAILED, "stopped"))
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "canceled"


def test_a_finished_job_cannot_be_canceled(
    client: httpx.Client, worker: JobLifecycle, api_settings: Settings
) -> None:
    job_id = new_job(client)
    finish(worker, api_settings, [png()])
    answer = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_cancelable")


def test_a_failed_job_says_why_as_a_problem(client: httpx.Client, worker: JobLifecycle) -> None:
    job_id = new_job(client)
    worker.fail_job(begin(worker), GridscribeError(ErrorCode.NO_READABLE_IMAGE, "all are broken"))
    error = client.get(f"/v1/jobs/{job_id}").json()["error"]
    assert (error["code"], error["status"], error["detail"]) == (
        "no_readable_image",
        422,
        "all are broken",
    )
    assert client.get(f"/v1/jobs/{job_id}/result").status_code == 409


@pytest.mark.parametrize("job_id", [UNKNOWN, "x", "x:images", "../healthz", "%00", UNKNOWN.upper()])
def test_an_unknown_job_is_not_found(client: httpx.Client, job_id: str) -> None:
    for method, address in (("GET", ""), ("GET", "/result"), ("POST", "/cancel")):
        answer = client.request(method, f"/v1/jobs/{job_id}{address}")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_keys_that_belong_to_a_job_are_no_jobs(client: httpx.Client) -> None:
    job_id = new_job(client)
    assert client.get(f"/v1/jobs/{job_id}:images").json()["code"] == "job_not_found"


def test_readiness_names_what_is_missing(
    client: httpx.Client, redis: Redis, api_settings: Settings
) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["dispatcher", "caption workers", "compose workers"]
    assert answer.json()["deliverer"] is False
    for kind in WorkerKind:
        model = "starter" if kind is WorkerKind.CAPTION else None
        stamp = WorkerStamp(owner=f"{kind}-1", kind=kind, capacity=2, at=0, model=model)
        JobLifecycle(redis, api_settings, stamp.owner).stamp(stamp)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["deliverer"] is True
    assert ready.json()["caption_workers"][0]["model"] == "starter"
