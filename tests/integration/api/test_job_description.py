"""The OpenAPI description of the job endpoints, held against the headers of answers, and against
answers that take a worker: what test_description.py asks for at random does not come so far."""

from typing import Any

import httpx
import pytest

from shared.job_lifecycle import JobLifecycle
from tests.integration.api.hand_work import begin, fail, new_job
from tests.integration.api.served import png

CONDITIONAL = {"Location", "Retry-After", "ETag", "Preference-Applied"}


@pytest.fixture
def paths(client: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return {path: it for path, it in document["paths"].items() if path.startswith("/v1/jobs")}


def assert_described(paths: dict[str, Any], path: str, answer: httpx.Response) -> None:
    told = paths[path][answer.request.method.lower()]["responses"][str(answer.status_code)]
    sent = {name for name in CONDITIONAL if name in answer.headers}
    assert sent <= set(told.get("headers", {}))
    if answer.content:
        assert answer.headers["Content-Type"].partition(";")[0] in told["content"]


def test_answers_are_as_described(
    client: httpx.Client, paths: dict[str, Any], worker: JobLifecycle
) -> None:
    jobs, job, events = "/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/events"
    headers = {"Prefer": "wait=1", "Cancel-After": "9m"}
    accepted = client.post(jobs, files=[("images", ("a.png", png()))], headers=headers)
    url = f"{jobs}/{accepted.json()['id']}"
    assert_described(paths, jobs, accepted)
    known = client.get(url)
    assert_described(paths, job, known)
    same = client.get(url, headers={"If-None-Match": known.headers["ETag"]})
    assert_described(paths, job, same)
    for action in ("retry", "cancel", "cancel", "retry"):
        assert_described(paths, f"{job}/{action}", client.post(f"{url}/{action}"))
    fail(worker)
    end = client.get(f"{url}/events")
    assert_described(paths, events, end)
    last = next(line for line in end.text.splitlines() if line.startswith("id: "))
    told = client.get(f"{url}/events", headers={"Last-Event-ID": last.removeprefix("id: ")})
    assert_described(paths, events, told)
    running = new_job(client)
    begin(worker)
    assert_described(paths, f"{job}/cancel", client.post(f"{jobs}/{running}/cancel"))


def test_the_headers_that_a_caller_may_send_are_described(paths: dict[str, Any]) -> None:
    def headers(path: str, method: str) -> set[str]:
        parameters = paths[path][method]["parameters"]
        return {it["name"] for it in parameters if it["in"] == "header"}

    assert headers("/v1/jobs", "post") >= {"Idempotency-Key", "Cancel-After", "Prefer"}
    assert "If-None-Match" in headers("/v1/jobs/{job_id}", "get")
    assert "Last-Event-ID" in headers("/v1/jobs/{job_id}/events", "get")
