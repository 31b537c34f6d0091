import email.parser
import email.policy
import json
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import pytest

from gridscribe import ApiError, JobTimeoutError, ServerUnreachableError, UnusableArgumentError
from gridscribe.client import ImageInput
from shared.job_spec import ImageReference, JobSpec
from shared.schemas import Job, JobStatus
from tests.unit.gridscribe.both_clients import Connect
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
    connect: Connect, server: ScriptedServer, tmp_path: Path
) -> None:
    first, second = tmp_path / "b.png", tmp_path / "a.png"
    first.write_bytes(b"1" * 100_000)
    second.write_bytes(b"2")
    server.answers = [job_answer(code=202)]
    heard: list[tuple[int, int]] = []
    client = connect(server.url)
    job = client.jobs.create(
        [first, second, ("c.png", b"3")],
        JobSpec(rows=2),
        csv=b"filename\n",
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
    assert heard[-1] == (100_002, 100_002)


def test_submission_is_repeated_with_the_same_key_and_body(
    connect: Connect, server: ScriptedServer, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"pixels")
    server.answers = [None, problem_answer(503, "service_full", "full"), job_answer(code=202)]
    client = connect(server.url)
    client.jobs.create([image])
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert [parts_of(request)[-1] for request in server.requests] == [
        ("images", "a.png", b"pixels")
    ] * 3


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(connect: Connect, server: ScriptedServer, as_date: bool) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=2)
    value = format_datetime(moment, usegmt=True) if as_date else "1"
    server.answers = [
        problem_answer(429, "quota_exceeded", "slow down", **{"Retry-After": value}),
        job_answer(),
    ]
    start = time.monotonic()
    client = connect(server.url)
    client.jobs.get("j1")
    assert 0.9 <= time.monotonic() - start < 3


def test_refusal_carries_the_problem_and_is_not_repeated(
    connect: Connect, server: ScriptedServer
) -> None:
    server.answers = [problem_answer(404, "job_not_found", "no job 'x'")]
    client = connect(server.url)
    with pytest.raises(ApiError, match="no job 'x'") as caught:
        client.jobs.get("x")
    assert (caught.value.problem.status, caught.value.problem.code) == (404, "job_not_found")


def test_answer_of_something_else_is_told_as_it_is(
    connect: Connect, server: ScriptedServer
) -> None:
    server.answers = [Answer(418, b"Teapot from proxy"), Answer(200, b"<html>")]
    client = connect(server.url)
    with pytest.raises(ApiError, match="Teapot from proxy"):
        client.jobs.get("x")
    with pytest.raises(ServerUnreachableError, match="gave no Job"):
        client.jobs.get("x")


def test_unreachable_server_is_told_after_the_retries(connect: Connect) -> None:
    client = connect("http://127.0.0.1:9", retries=1)
    with pytest.raises(ServerUnreachableError, match="no Gridscribe service answers at http://127"):
        client.jobs.get("x")


def test_wait_reports_every_state_and_starts_fast(connect: Connect, server: ScriptedServer) -> None:
    server.answers = [job_answer(), job_answer("running"), job_answer("failed")]
    seen: list[Job] = []
    start = time.monotonic()
    client = connect(server.url)
    job = client.jobs.wait("j1", on_progress=seen.append)
    assert time.monotonic() - start < 0.9
    assert job.status is JobStatus.FAILED
    assert [state.status for state in seen] == ["queued", "running", "failed"]


def test_wait_ends_with_the_last_state_after_its_timeout(
    connect: Connect, server: ScriptedServer
) -> None:
    server.answers = [job_answer("running")] * 5
    client = connect(server.url)
    with pytest.raises(JobTimeoutError) as caught:
        client.jobs.wait("j1", timeout=0.2)
    assert caught.value.job.status is JobStatus.RUNNING


def test_events_go_on_behind_the_last_one_after_a_cut(
    connect: Connect, server: ScriptedServer
) -> None:
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
    client = connect(server.url)
    updates = list(client.jobs.events("j1"))
    assert [(update.event_id, update.status) for update in updates] == [
        ("1-0", "queued"),
        ("2-0", "running"),
        ("4-0", "succeeded"),
    ]
    assert updates[1].progress.done == 1
    asked = [request.headers.get("Last-Event-ID") for request in server.requests]
    assert asked == [None, None, "2-0", "2-0", "2-0"]


def test_events_that_break_off_again_and_again_give_way_to_polling(
    connect: Connect, server: ScriptedServer
) -> None:
    polled = [job_answer("running"), job_answer("running"), job_answer("succeeded")]
    server.answers = [*[Answer(body=b": alive\n\n")] * 3, *polled]
    client = connect(server.url, retries=2)
    updates = list(client.jobs.events("j1"))
    assert [(update.status, update.event_id) for update in updates] == [
        ("running", None),
        ("succeeded", None),
    ]
    assert [request.path for request in server.requests[-3:]] == ["/v1/jobs/j1"] * 3


@pytest.mark.parametrize(
    "no_stream",
    [
        problem_answer(503, "service_full", "too many listen"),
        Answer(body=b"<p>hello", headers={"Content-Type": "text/html"}),
    ],
)
def test_a_job_is_polled_where_no_events_can_be_had(
    connect: Connect, server: ScriptedServer, no_stream: Answer
) -> None:
    server.answers = [no_stream, job_answer("running"), job_answer("failed")]
    client = connect(server.url, retries=0)
    assert [update.status for update in client.jobs.events("j1")] == ["running", "failed"]


def test_events_of_something_else_are_told_as_such(
    connect: Connect, server: ScriptedServer
) -> None:
    server.answers = [Answer(body=b"event: job\ndata: {}\n\n")]
    client = connect(server.url)
    with pytest.raises(ServerUnreachableError, match="gave no Job"):
        list(client.jobs.events("j1"))


def test_a_key_that_an_earlier_try_still_holds_is_tried_again(
    connect: Connect, server: ScriptedServer
) -> None:
    server.answers = [
        problem_answer(409, "idempotency_in_progress", "still being accepted"),
        job_answer(code=202),
    ]
    client = connect(server.url)
    assert client.jobs.create([("a.png", b"1")]).id == "j1"
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1


def test_all_pages_are_saved_whole_even_after_a_cut(
    connect: Connect, server: ScriptedServer, tmp_path: Path
) -> None:
    server.answers = [
        job_answer("succeeded", result=RESULT),
        Answer(body=b"one" * 1000, cut_after=100),
        Answer(body=b"one" * 1000),
        Answer(body=b"two"),
    ]
    client = connect(server.url)
    paths = client.jobs.download("j1", tmp_path / "new" / "sheet.png")
    assert [path.name for path in paths] == ["sheet.png", "sheet-2.png"]
    assert [path.read_bytes() for path in paths] == [b"one" * 1000, b"two"]
    assert sorted(path.parent.iterdir() if (path := paths[0]) else ()) == sorted(paths)
    assert [request.path for request in server.requests[1:]] == [
        "/v1/jobs/j1/result?page=1",
        "/v1/jobs/j1/result?page=1",
        "/v1/jobs/j1/result?page=2",
    ]


def test_failed_download_leaves_the_old_sheet(
    connect: Connect, server: ScriptedServer, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"old")
    server.answers = [job_answer("running"), problem_answer(409, "result_not_ready", "not yet")]
    client = connect(server.url)
    with pytest.raises(ApiError, match="not yet"):
        client.jobs.download("j1", sheet)
    assert sheet.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [sheet]


def test_proxy_of_the_environment_is_not_used_for_this_machine(
    connect: Connect, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answers = [job_answer()]
    client = connect(server.url, retries=0)
    assert client.jobs.get("j1").id == "j1"


def test_a_pause_too_long_to_wait_for_is_told_instead(
    connect: Connect, server: ScriptedServer
) -> None:
    server.answers = [
        problem_answer(429, "quota_exceeded", "till midnight", **{"Retry-After": "9999"})
    ]
    with pytest.raises(ApiError, match="till midnight") as caught:
        connect(server.url).jobs.get("j1")
    assert (caught.value.retry_after, caught.value.code) == (9999, "quota_exceeded")


def test_what_a_cut_request_had_done_is_no_error_when_it_is_repeated(
    connect: Connect, server: ScriptedServer
) -> None:
    client = connect(server.url)
    server.answers = [None, problem_answer(404, "job_not_found", "no job")]
    client.jobs.delete("j1")
    server.answers = [None, problem_answer(409, "job_not_retryable", "queued"), job_answer()]
    assert client.jobs.retry("j1").status is JobStatus.QUEUED
    server.answers = [problem_answer(409, "job_not_retryable", "it succeeded")]
    with pytest.raises(ApiError, match="it succeeded"):
        client.jobs.retry("j1")


def test_waiting_outlives_a_service_that_is_away(connect: Connect, server: ScriptedServer) -> None:
    away = problem_answer(503, "service_unavailable", "away")
    server.answers = [job_answer("running"), away, None, away, job_answer("succeeded")]
    seen: list[JobStatus] = []
    client = connect(server.url, retries=0)
    job = client.jobs.wait("j1", on_progress=lambda job: seen.append(job.status))
    assert job.status is JobStatus.SUCCEEDED
    assert seen == ["running"] * 4 + ["succeeded"]


def test_an_unchanged_job_is_not_sent_again(connect: Connect, server: ScriptedServer) -> None:
    first, last = job_answer("running"), job_answer("succeeded")
    first.headers["ETag"] = '"1"'
    server.answers = [first, Answer(304, headers={"Retry-After": "1"}), last]
    assert connect(server.url).jobs.wait("j1").status is JobStatus.SUCCEEDED
    asked = [request.headers.get("If-None-Match") for request in server.requests]
    assert asked == [None, '"1"', '"1"']


def test_files_beside_references_go_ahead_of_the_job(
    connect: Connect, server: ScriptedServer
) -> None:
    upload = {
        **{"upload_id": "u1", "name": "a.png", "media_type": "image/png", "width": 1, "height": 1},
        **{"bytes": 1, "sha256": "0", "expires_at": "2026-01-01T00:00:00Z"},
    }
    server.answers = [Answer(201, json.dumps(upload).encode()), job_answer(code=202)]
    images: list[ImageInput] = [
        ImageReference(upload_id="u0", label="fox"),
        ("a.png", b"1"),
        "https://x.org/b.png",
    ]
    connect(server.url).jobs.create(images, {"rows": 1}, csv=b"\xef\xbb\xbffilename\n")
    assert parts_of(server.requests[0]) == [("file", "a.png", b"1")]
    assert json.loads(server.requests[1].body) == {
        "spec": {"rows": 1},
        "images": [
            {"upload_id": "u0", "label": "fox"},
            {"upload_id": "u1"},
            {"url": "https://x.org/b.png"},
        ],
        "csv": "filename\n",
    }


def test_a_file_that_shrinks_while_it_is_sent_is_named(
    connect: Connect, server: ScriptedServer, tmp_path: Path
) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"1" * 10_000_000)

    def shrink(_sent: int, _total: int) -> None:
        image.write_bytes(b"1" * 70_000)

    with pytest.raises(OSError, match=r"a\.png became shorter"):
        connect(server.url).jobs.create([image], on_upload=shrink)


@pytest.mark.parametrize("address", ["", "localhost:80", "ftp://x", "http://", "http://x:y", "x y"])
def test_what_is_no_address_is_told_before_anything_is_sent(connect: Connect, address: str) -> None:
    with pytest.raises(UnusableArgumentError, match="no address of a service"):
        connect(address)


def test_a_key_that_cannot_be_one_is_not_repeated(connect: Connect) -> None:
    with pytest.raises(UnusableArgumentError) as caught:
        connect("http://127.0.0.1:9", api_key="gs_secret\n")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_an_id_that_leads_elsewhere_is_not_sent(connect: Connect, job_id: str) -> None:
    with pytest.raises(UnusableArgumentError, match="is no id"):
        connect("http://127.0.0.1:9").jobs.delete(job_id)


def test_an_id_stays_one_part_of_the_address(connect: Connect, server: ScriptedServer) -> None:
    server.answers = [job_answer()]
    connect(server.url).jobs.get("../a b?c")
    assert server.requests[0].path == "/v1/jobs/..%2Fa%20b%3Fc"


def test_an_address_that_sends_callers_on_is_told(connect: Connect, server: ScriptedServer) -> None:
    server.answers = [Answer(301, headers={"Location": "https://grid.example/"})]
    with pytest.raises(ApiError, match=r"sends callers on to https://grid\.example/"):
        connect(server.url).jobs.get("j1")
