import email.parser
import email.policy
import json
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import pytest

from gridscribe.client import ApiError, Client, JobTimeoutError, ServerUnreachableError
from shared.job_spec import JobSpec
from shared.schemas import Job, JobStatus
from tests.unit.gridscribe.scripted_server import (
    Answer,
    Request,
    ScriptedServer,
    job_answer,
    problem_answer,
)

RESULT = {
    "url": "/r",
    "width": 1,
    "height": 1,
    "pages": 2,
    "bytes": 1,
    "sha256": "0",
    "media_type": "image/png",
}


def parts_of(request: Request) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of each part of a multipart body."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(EmailMessage, policy=email.policy.HTTP).parsebytes(
        head + request.body
    )
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            bytes(part.get_payload(decode=True)),
        )
        for part in message.iter_parts()
    ]


def test_job_is_sent_as_spec_csv_and_images_in_order(
    server: ScriptedServer, tmp_path: Path
) -> None:
    first, second = tmp_path / "b.png", tmp_path / "a.png"
    first.write_bytes(b"1" * 100_000)
    second.write_bytes(b"2")
    server.answers = [job_answer(code=202)]
    heard: list[tuple[int, int]] = []
    with Client(server.url) as client:
        job = client.create_job(
            JobSpec(rows=2),
            [first, second, ("c.png", b"3")],
            b"filename\n",
            on_upload=lambda sent, total: heard.append((sent, total)),
        )
    assert job.status is JobStatus.QUEUED
    spec, csv, *images = parts_of(server.requests[0])
    assert (spec[0], json.loads(spec[2])) == ("spec", {"rows": 2})
    assert csv == ("csv", "labels.csv", b"filename\n")
    assert images == [
        ("images", "b.png", b"1" * 100_000),
        ("images", "a.png", b"2"),
        ("images", "c.png", b"3"),
    ]
    assert heard[-1] == (100_001, 100_001)


def test_submission_is_repeated_with_the_same_key_and_body(
    server: ScriptedServer, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"pixels")
    server.answers = [None, problem_answer(503, "service_full", "full"), job_answer(code=202)]
    with Client(server.url) as client:
        client.create_job(JobSpec(), [image])
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert [parts_of(request)[-1] for request in server.requests] == [
        ("images", "a.png", b"pixels")
    ] * 3


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(server: ScriptedServer, as_date: bool) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=2)
    value = format_datetime(moment, usegmt=True) if as_date else "1"
    server.answers = [
        problem_answer(429, "quota_exceeded", "slow down", **{"Retry-After": value}),
        job_answer(),
    ]
    start = time.monotonic()
    with Client(server.url) as client:
        client.get_job("j1")
    assert 0.9 <= time.monotonic() - start < 3


def test_refusal_carries_the_problem_and_is_not_repeated(server: ScriptedServer) -> None:
    server.answers = [problem_answer(404, "job_not_found", "no job 'x'")]
    with Client(server.url) as client, pytest.raises(ApiError, match="no job 'x'") as caught:
        client.get_job("x")
    assert (caught.value.problem.status, caught.value.problem.code) == (404, "job_not_found")


def test_answer_of_something_else_is_told_as_it_is(server: ScriptedServer) -> None:
    server.answers = [Answer(502, b"Bad Gateway from proxy"), Answer(200, b"<html>")]
    with Client(server.url) as client:
        with pytest.raises(ApiError, match="Bad Gateway from proxy"):
            client.get_job("x")
        with pytest.raises(ServerUnreachableError, match="gave no Job"):
            client.get_job("x")


def test_unreachable_server_is_told_after_the_retries() -> None:
    with (
        Client("http://127.0.0.1:9", retries=1) as client,
        pytest.raises(ServerUnreachableError, match="no Gridscribe service answers at http://127"),
    ):
        client.get_job("x")


def test_wait_reports_every_state_and_starts_fast(server: ScriptedServer) -> None:
    server.answers = [job_answer(), job_answer("running"), job_answer("failed")]
    seen: list[Job] = []
    start = time.monotonic()
    with Client(server.url) as client:
        job = client.wait("j1", on_progress=seen.append)
    assert time.monotonic() - start < 0.9
    assert job.status is JobStatus.FAILED
    assert [state.status for state in seen] == ["queued", "running", "failed"]


def test_wait_ends_with_the_last_state_after_its_timeout(server: ScriptedServer) -> None:
    server.answers = [job_answer("running")] * 5
    with Client(server.url) as client, pytest.raises(JobTimeoutError) as caught:
        client.wait("j1", timeout=0.2)
    assert caught.value.job.status is JobStatus.RUNNING


def test_events_go_on_behind_the_last_one_after_a_cut(server: ScriptedServer) -> None:
    def event(number: int, status: str) -> bytes:
        data = job_answer(status).body
        return b"retry: 9\n\n: alive\n\nid: %d-0\nevent: job\ndata: %s\n\n" % (number, data)

    change = b'id: 2-0\nevent: progress\ndata: {"status": "running", "progress": '
    change += b'{"stage": "composing", "done": 1, "total": 2}, "new": 1}\n\n'
    unknown = b"id: 3-0\nevent: weather\ndata: rain\n\n"
    begun = event(1, "queued") + change
    server.answers = [
        problem_answer(503, "service_unavailable", "away"),
        Answer(body=begun + event(9, "failed"), cut_after=len(begun) + 30),
        None,
        Answer(body=unknown),
        Answer(body=event(4, "succeeded")),
    ]
    with Client(server.url) as client:
        updates = list(client.events("j1"))
    assert [(update.event_id, update.status) for update in updates] == [
        ("1-0", "queued"),
        ("2-0", "running"),
        ("4-0", "succeeded"),
    ]
    assert updates[1].progress.done == 1
    asked = [request.headers.get("Last-Event-ID") for request in server.requests]
    assert asked == [None, None, "2-0", "2-0", "2-0"]


def test_events_that_break_off_again_and_again_are_given_up(server: ScriptedServer) -> None:
    server.answers = [Answer(body=b": alive\n\n")] * 3
    with Client(server.url, retries=2) as client, pytest.raises(ServerUnreachableError):
        list(client.events("j1"))


def test_events_of_something_else_are_told_as_such(server: ScriptedServer) -> None:
    server.answers = [Answer(body=b"event: job\ndata: {}\n\n")]
    with Client(server.url) as client, pytest.raises(ServerUnreachableError, match="gave no Job"):
        list(client.events("j1"))


def test_a_key_that_an_earlier_try_still_holds_is_tried_again(server: ScriptedServer) -> None:
    server.answers = [
        problem_answer(409, "idempotency_in_progress", "still being accepted"),
        job_answer(code=202),
    ]
    with Client(server.url) as client:
        assert client.create_job(JobSpec(), [("a.png", b"1")]).id == "j1"
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1


def test_all_pages_are_saved_whole_even_after_a_cut(server: ScriptedServer, tmp_path: Path) -> None:
    server.answers = [
        job_answer("succeeded", result=RESULT),
        Answer(body=b"one" * 1000, cut_after=100),
        Answer(body=b"one" * 1000),
        Answer(body=b"two"),
    ]
    with Client(server.url) as client:
        paths = client.download("j1", tmp_path / "new" / "sheet.png")
    assert [path.name for path in paths] == ["sheet.png", "sheet-2.png"]
    assert [path.read_bytes() for path in paths] == [b"one" * 1000, b"two"]
    assert sorted(path.parent.iterdir() if (path := paths[0]) else ()) == sorted(paths)
    assert [request.path for request in server.requests[1:]] == [
        "/v1/jobs/j1/result?page=1",
        "/v1/jobs/j1/result?page=1",
        "/v1/jobs/j1/result?page=2",
    ]


def test_failed_download_leaves_the_old_sheet(server: ScriptedServer, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"old")
    server.answers = [job_answer("running"), problem_answer(409, "result_not_ready", "not yet")]
    with Client(server.url) as client, pytest.raises(ApiError, match="not yet"):
        client.download("j1", sheet)
    assert sheet.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [sheet]


def test_proxy_of_the_environment_is_not_used_for_this_machine(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answers = [job_answer()]
    with Client(server.url, retries=0) as client:
        assert client.get_job("j1").id == "j1"
