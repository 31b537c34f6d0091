"""The API whose files lie in a bucket, and files that callers put there themselves."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.job_lifecycle import JobLifecycle, connect
from shared.keyspace import PREFIX
from shared.object_storage import ObjectStorage, output_key
from shared.schemas import Manifest, SourceImage, StoredPage, StoredResult
from shared.settings import MEBIBYTE, Settings
from shared.work_units import WorkerKind
from tests.fixtures.s3 import Bucket
from tests.integration.api.served import image_part, png, problem_of, serving, submit
from worker.sweeper import Sweeper

MANIFEST = Manifest(rows=1, cols=1, pages=(), images=())


@pytest.fixture(scope="module")
def bucket_settings(api_settings: Settings, bucket: Bucket) -> Settings:
    return api_settings.model_copy(update={"storage_url": bucket.url(f"api/{uuid.uuid4()}")})


@pytest.fixture(scope="module")
def client(bucket_settings: Settings) -> Iterator[httpx.Client]:
    with serving(bucket_settings) as client:
        yield client


@pytest.fixture
def storage(bucket_settings: Settings) -> ObjectStorage:
    storage = ObjectStorage(bucket_settings.effective_storage_url)
    storage.delete_prefix("")
    return storage


@pytest.fixture
def worker(bucket_settings: Settings) -> Iterator[JobLifecycle]:
    with connect(bucket_settings) as connection:
        yield JobLifecycle(connection, bucket_settings, "worker-1")


def presign(client: httpx.Client, **request: str) -> dict[str, str]:
    answer = client.post("/v1/uploads/presign", json=request)
    assert answer.status_code == 201, answer.text
    presigned: dict[str, str] = answer.json()
    return presigned


def put(presigned: dict[str, str], data: bytes) -> None:
    httpx.request(presigned["method"], presigned["url"], content=data).raise_for_status()


def job_of(client: httpx.Client, *uploads: dict[str, str]) -> httpx.Response:
    images = [{"upload_id": upload["upload_id"]} for upload in uploads]
    return client.post("/v1/jobs", json={"images": images})


def test_a_result_is_a_fresh_link_into_the_bucket(
    client: httpx.Client, storage: ObjectStorage, worker: JobLifecycle, tmp_path: Path
) -> None:
    job = submit(client, image_part("a.png")).json()
    (ticket,) = worker.dispatch(WorkerKind.COMPOSE, 10)
    assert worker.start_compose(ticket) is not None
    key, manifest_key = (output_key(job["id"], 1, name) for name in ("page.png", "manifest.json"))
    page = tmp_path / "page.png"
    page.write_bytes(png(4, 3))
    storage.put_file(key, page, media_type="image/png", filename="sheet.png")
    storage.put_bytes(manifest_key, MANIFEST.model_dump_json().encode())
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    stored = StoredPage(key=key, width=4, height=3, bytes=page.stat().st_size, sha256=digest)
    result = StoredResult(
        media_type="image/png", extension="png", pages=(stored,), manifest_key=manifest_key
    )
    worker.commit_sheet(ticket, result, (), ())

    redirect = client.get(job["urls"]["result"])
    assert redirect.status_code == 307
    assert redirect.headers["Cache-Control"] == "no-store"
    sheet = httpx.get(redirect.headers["Location"])
    assert (sheet.content, sheet.headers["Content-Type"]) == (page.read_bytes(), "image/png")
    saved = client.get(job["urls"]["result"], params={"disposition": "attachment"})
    assert saved.content == page.read_bytes()
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=")
    assert saved.headers["X-Content-Type-Options"] == "nosniff"
    known = client.get(job["urls"]["result"], headers={"If-None-Match": f'"{digest}"'})
    assert known.status_code == 304
    assert client.get(job["urls"]["manifest"]).json() == MANIFEST.model_dump(mode="json")
    storage.delete(key)
    gone = client.get(job["urls"]["result"], params={"disposition": "attachment"})
    assert problem_of(gone)["code"] == "job_expired"


def test_a_refused_job_leaves_nothing_in_the_bucket(
    client: httpx.Client, storage: ObjectStorage, bucket: Bucket
) -> None:
    answer = submit(client, image_part("a.png"), image_part("b.png", bytes(MEBIBYTE + 1)))
    assert problem_of(answer)["code"] == "file_too_large"
    assert list(storage.list_keys("")) == []
    assert bucket.unfinished_uploads() == 0


def test_a_file_put_by_its_link_is_used_by_a_job(
    client: httpx.Client, storage: ObjectStorage, redis: Redis
) -> None:
    presigned = presign(client, name="../shots/owl.png")
    assert presigned["name"] == "owl.png"
    put(presigned, png(20, 10))
    answer = job_of(client, presigned)
    assert answer.status_code == 202, answer.text
    stored = redis.hget(f"{PREFIX}job:{answer.json()['id']}:images", "0")
    image = SourceImage.model_validate_json(stored or "")
    assert (image.name, image.width, image.height) == ("owl.png", 20, 10)
    # A copy: the link may be used again, and must not change what was looked at.
    put(presigned, b"something else")
    with storage.open(image.key) as file:
        assert file.read() == png(20, 10)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "unknown_upload"),
        (b"", "not_an_image"),
        (b"<html>", "not_an_image"),
        (png() + bytes(MEBIBYTE), "file_too_large"),
    ],
    ids=["never put", "empty", "no image", "too large"],
)
def test_a_file_put_by_its_link_is_refused_by_the_job_that_uses_it(
    client: httpx.Client, storage: ObjectStorage, data: bytes | None, code: str
) -> None:
    presigned = presign(client)
    if data is not None:
        put(presigned, data)
    problem = problem_of(job_of(client, presigned))
    assert (problem["code"], problem["errors"][0]["location"]) == (code, "images[0]")
    assert list(storage.list_keys("jobs")) == []


def test_a_link_expires_with_its_upload_and_the_file_is_swept(
    bucket_settings: Settings, storage: ObjectStorage, worker: JobLifecycle, redis: Redis
) -> None:
    short = bucket_settings.model_copy(update={"upload_ttl_seconds": 60})
    with serving(short) as client:
        presigned = presign(client)
    assert httpx.URL(presigned["url"]).params["X-Amz-Expires"] == "60"
    put(presigned, png())
    sweeper = Sweeper(worker, storage)
    sweeper.sweep_expired()
    (key,) = storage.list_keys("")
    redis.zadd(f"{PREFIX}uploads", {key: 0})  # its time is over
    assert sweeper.sweep_expired() == 1
    assert list(storage.list_keys("")) == []


def test_links_are_not_offered_by_a_service_that_keeps_files_in_a_folder(
    api_settings: Settings, assert_nothing_is_left: Callable[[], None]
) -> None:
    with serving(api_settings) as client:
        problem = problem_of(client.post("/v1/uploads/presign"))
    assert (problem["status"], problem["code"]) == (409, "presign_not_offered")
    assert "POST /v1/uploads" in problem["detail"]
    assert_nothing_is_left()


@pytest.mark.parametrize("body", [b"[]", b'{"size": 1}', b'{"name": 7}'])
def test_a_bad_request_for_a_link_is_refused(client: httpx.Client, body: bytes) -> None:
    assert problem_of(client.post("/v1/uploads/presign", content=body))["status"] == 400
