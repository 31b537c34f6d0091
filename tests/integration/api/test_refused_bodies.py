"""Bodies that are not what they say, JSON that is wrong, and uploads that are no pictures."""

import base64
import json
import shutil
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.settings import MEBIBYTE, Settings
from tests.integration.api.served import GOOD, Part, png, problem_of, spec_part, submit

AssertNothingIsLeft = Callable[[], None]


@pytest.mark.parametrize(
    ("body", "code", "location", "words"),
    [
        (b"{broken", "invalid_request", "body", "JSON"),
        (b"[]", "invalid_request", "body", "object"),
        (b'{"pictures": []}', "invalid_request", "pictures", "unknown field"),
        (b'{"spec": {"margin": -5}}', "invalid_spec", "spec.margin", "not -5"),
        (b'{"images": []}', "no_images", None, "no images"),
        (b'{"images": [{}]}', "invalid_request", "images[0]", "exactly one"),
        (b'{"images": [{"data": "x"}]}', "invalid_request", "images[0].data", "data URI"),
        (
            b'{"images": [{"data": "data:image/png;base64,%%%"}]}',
            "invalid_request",
            "images[0].data",
            "base64",
        ),
        (b'{"images": [{"upload_id": "../x"}]}', "unknown_upload", "images[0]", "'../x'"),
        (
            b'{"images": [{"upload_id": "0190b3c4-0000-7000-8000-000000000000"}]}',
            "unknown_upload",
            "images[0]",
            "send it again",
        ),
    ],
)
def test_a_bad_json_job_is_refused_naming_the_place(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    body: bytes,
    code: str,
    location: str | None,
    words: str,
) -> None:
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    problem = problem_of(answer)
    assert problem["code"] == code
    assert words in problem["detail"]
    if location is not None:
        assert problem["errors"][0]["location"] == location
    assert_nothing_is_left()


def test_what_an_earlier_image_of_a_bad_json_job_stored_is_deleted(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    good = {"data": "data:image/png;base64," + base64.b64encode(png()).decode()}
    answer = client.post("/v1/jobs", json={"images": [good, {"upload_id": "gone"}]})
    assert problem_of(answer)["errors"][0]["location"] == "images[1]"
    assert_nothing_is_left()


@pytest.mark.parametrize(
    ("content_type", "status", "words"),
    [
        ("text/plain", 415, "text/plain"),
        ("", 415, "missing"),
        ("multipart/form-data", 400, "boundary"),
        ("multipart/form-data; boundary=" + "x" * 300, 400, "oundary"),
        ("multipart/form-data; boundary=abc", 400, "multipart"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    content_type: str,
    status: int,
    words: str,
) -> None:
    answer = client.post("/v1/jobs", content=b"rubbish", headers={"Content-Type": content_type})
    problem = problem_of(answer)
    assert problem["status"] == status
    assert words in problem["detail"]
    assert_nothing_is_left()


def test_a_multipart_body_without_its_end_is_refused(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    whole = client.build_request("POST", "/v1/jobs", files=[GOOD, GOOD])
    answer = client.post(
        "/v1/jobs",
        content=whole.read()[:-30],
        headers={"Content-Type": whole.headers["Content-Type"]},
    )
    assert "ends before" in problem_of(answer)["detail"]
    assert_nothing_is_left()


def test_a_body_of_unknown_length_is_counted(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    chunks = (bytes(MEBIBYTE) for _ in range(6))
    answer = client.post("/v1/jobs", content=chunks, headers={"Content-Type": "application/json"})
    assert problem_of(answer)["code"] == "request_too_large"
    assert_nothing_is_left()


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([("file", ("notes.png", b"text"))], 422, "not_an_image"),
        ([("file", ("big.png", bytes(MEBIBYTE + 1)))], 413, "file_too_large"),
        ([("image", ("a.png", png()))], 400, "invalid_request"),
        ([("file", ("a.png", png())), ("file", ("b.png", png()))], 400, "invalid_request"),
    ],
)
def test_a_bad_upload_is_refused(
    client: httpx.Client,
    assert_nothing_is_left: AssertNothingIsLeft,
    files: list[Part],
    status: int,
    code: str,
) -> None:
    problem = problem_of(client.post("/v1/uploads", files=files))
    assert (problem["status"], problem["code"]) == (status, code)
    assert "file" in problem["detail"]
    assert_nothing_is_left()


def test_a_bad_upload_is_refused_for_what_it_is_while_the_storage_is_damaged(
    client: httpx.Client, api_settings: Settings
) -> None:
    folder = api_settings.data_dir / "storage" / "uploads" / "default"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"no folder: nothing can be removed from it")
    problem = problem_of(client.post("/v1/uploads", files={"file": ("notes.png", b"text")}))
    assert (problem["status"], problem["code"]) == (422, "not_an_image")


def test_a_json_body_may_not_be_larger_than_a_file(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    answer = client.post("/v1/jobs", json={"csv": "x" * (MEBIBYTE + 1)})
    assert problem_of(answer)["code"] == "request_too_large"
    assert_nothing_is_left()


def test_an_idempotency_key_must_be_printable(
    client: httpx.Client, assert_nothing_is_left: AssertNothingIsLeft
) -> None:
    answer = client.post("/v1/jobs", files=[GOOD], headers={"Idempotency-Key": "a b"})
    assert problem_of(answer)["errors"][0]["location"] == "Idempotency-Key"
    assert_nothing_is_left()


def test_a_refused_repeat_keeps_the_first_job_whole(
    client: httpx.Client, stored_files: Callable[[], list[Any]]
) -> None:
    headers = {"Idempotency-Key": "k"}
    client.post("/v1/jobs", files=[GOOD], headers=headers)
    before = stored_files()
    answer = client.post("/v1/jobs", files=[GOOD, GOOD], headers=headers)
    assert problem_of(answer)["code"] == "idempotency_mismatch"
    assert stored_files() == before != []


def test_problems_are_json_as_rfc_9457_has_it(client: httpx.Client) -> None:
    problem = problem_of(submit(client, spec_part({"rows": 0})))
    assert json.loads(json.dumps(problem)).keys() >= {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "errors",
        "request_id",
    }
    assert problem["instance"] == "/v1/jobs"
