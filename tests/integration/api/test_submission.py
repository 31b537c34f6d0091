"""Jobs that are accepted: what is stored of them and what the caller is told."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.keyspace import PREFIX
from shared.schemas import SourceImage
from shared.settings import Settings
from tests.integration.api.served import image_part, png, serving, spec_part, submit


def stored_images(redis: Redis, job_id: str) -> list[SourceImage]:
    fields = redis.hgetall(f"{PREFIX}job:{job_id}:images")
    return [SourceImage.model_validate_json(fields[str(index)]) for index in range(len(fields))]


def test_a_multipart_job_is_accepted_with_its_images_in_order(
    client: httpx.Client, redis: Redis, api_settings: Settings
) -> None:
    pictures = [png(width=10 + n) for n in range(3)]
    parts = [image_part(f"picture {n}.png", data) for n, data in enumerate(pictures)]
    answer = submit(client, spec_part({"cols": 2, "metadata": {"shot": 7}}), *parts)

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["Location"] == job["urls"]["self"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert job["status"] == "queued"
    assert job["queue_position"] == 1
    assert job["progress"] == {"stage": "waiting", "done": 0, "total": 3}
    assert job["spec"]["cols"] == 2
    assert job["metadata"] == {"shot": 7}
    images = stored_images(redis, job["id"])
    assert [image.name for image in images] == ["picture 0.png", "picture 1.png", "picture 2.png"]
    assert [image.width for image in images] == [10, 11, 12]
    for image, data in zip(images, pictures, strict=True):
        assert image.sha256 == hashlib.sha256(data).hexdigest()
        assert (api_settings.data_dir / "storage" / image.key).read_bytes() == data
    assert client.get(job["urls"]["self"]).json() == job


def test_the_spec_may_come_after_the_images_and_its_template_is_applied(
    client: httpx.Client,
) -> None:
    answer = submit(client, image_part("a.png"), spec_part({"template": "wide", "cols": 3}))
    assert answer.status_code == 202, answer.text
    assert (answer.json()["spec"]["rows"], answer.json()["spec"]["cols"]) == (2, 3)


def test_csv_rows_find_their_images_and_only_the_others_go_to_captioning(
    client: httpx.Client, redis: Redis
) -> None:
    table = ("csv", ("labels.csv", "filename,label\nb.png,Harbour\nc.png,Gone\n"))
    spec = spec_part({"use_clip": True})
    answer = submit(client, image_part("a.png"), image_part("b.png"), table, spec)
    job = answer.json()
    assert [image.csv_row for image in stored_images(redis, job["id"])] == [
        None,
        {"filename": "b.png", "label": "Harbour"},
    ]
    assert redis.hget(f"{PREFIX}job:{job['id']}", "to_caption") == "[0]"
    assert [warning["code"] for warning in job["warnings"]] == ["csv_row_without_image"]


@pytest.mark.parametrize(
    ("encoding", "warnings"), [('"latin-1"', []), ("null", ["csv_encoding_guessed"])]
)
def test_a_csv_in_latin_1_is_read_and_a_warning_says_where_that_was_a_guess(
    client: httpx.Client, redis: Redis, encoding: str, warnings: list[str]
) -> None:
    table = ("csv", ("labels.csv", "filename,label\na.png,café\n".encode("latin-1")))
    spec = ("spec", (None, f'{{"csv_encoding": {encoding}}}'))
    answer = submit(client, spec, image_part("a.png"), table)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert stored_images(redis, job["id"])[0].csv_row == {"filename": "a.png", "label": "café"}
    assert [warning["code"] for warning in job["warnings"]] == warnings


def test_a_json_job_takes_data_uris_and_uploads(client: httpx.Client, redis: Redis) -> None:
    upload = client.post("/v1/uploads", files={"file": ("sent before.png", png(20))})
    assert upload.status_code == 201, upload.text
    request = {
        "spec": {"labels": ["shot"]},
        "images": [
            {"upload_id": upload.json()["upload_id"], "metadata": {"shot": 4}},
            {
                "data": "data:image/png;base64," + base64.b64encode(png(30)).decode(),
                "name": "inline.png",
                "label": "A label",
            },
        ],
        "csv": "filename,shot\ninline.png,5\n",
    }
    answer = client.post("/v1/jobs", json=request)
    assert answer.status_code == 202, answer.text
    first, second = stored_images(redis, answer.json()["id"])
    assert (first.name, first.width, first.metadata) == ("sent before.png", 20, {"shot": 4})
    assert (second.name, second.width, second.label) == ("inline.png", 30, "A label")
    assert second.csv_row == {"filename": "inline.png", "shot": "5"}
    # The job has its own copy: the upload may expire before the job.
    assert first.key.startswith(f"jobs/{answer.json()['id']}/")


def test_an_upload_may_be_the_bare_body(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/uploads",
        params={"name": "../raw.png"},
        content=png(5, 4),
        headers={"Content-Type": "image/png"},
    )
    assert answer.status_code == 201, answer.text
    upload = answer.json()
    assert (upload["name"], upload["width"], upload["height"]) == ("raw.png", 5, 4)
    assert upload["media_type"] == "image/png"


def test_a_zip_is_unpacked_in_natural_order_without_its_clutter(
    client: httpx.Client, redis: Redis
) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.mkdir("shots")
        for name in ("shots/a10.png", "shots/a2.png", "../../etc/evil.PNG"):
            archive.writestr(name, png())
        archive.writestr("__MACOSX/shots/._a2.png", b"fork")
        archive.writestr("shots/.DS_Store", b"finder")
        archive.writestr("shots/notes.txt", b"hello")
        archive.writestr("labels.csv", "filename,label\na2.png,Two\n")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    answer = submit(client, image_part("shots.zip", data.getvalue()))
    assert answer.status_code == 202, answer.text
    images = stored_images(redis, answer.json()["id"])
    assert [image.name for image in images] == ["evil.PNG", "a2.png", "a10.png"]
    assert images[1].csv_row == {"filename": "a2.png", "label": "Two"}
    (warning,) = answer.json()["warnings"]
    assert warning["code"] == "archive_files_left_out"
    assert "notes.txt" in warning["detail"]


def test_hostile_names_lose_their_folders_and_control_characters(
    client: httpx.Client, redis: Redis, stored_files: Callable[[], list[Path]]
) -> None:
    names = ["../../etc/passwd", "C:\\windows\\a.png", "a\u202egpj.exe", "x" * 300, ".."]
    answer = submit(client, *(image_part(name) for name in names))
    assert answer.status_code == 202, answer.text
    images = stored_images(redis, answer.json()["id"])
    assert [image.name for image in images] == ["passwd", "a.png", "agpj.exe", "x" * 200, "image-5"]
    expected = {f"{n:05d}" for n in range(5)}
    assert {path.name for path in stored_files()} == expected


def test_a_repeat_with_the_same_key_and_payload_gets_the_first_job(
    client: httpx.Client, redis: Redis, stored_files: Callable[[], list[Path]]
) -> None:
    def send(color: str) -> httpx.Response:
        files = [image_part("a.png", png(color=color))]
        return client.post("/v1/jobs", files=files, headers={"Idempotency-Key": "key-1"})

    first, second, other = send("red"), send("red"), send("blue")
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_mismatch"
    assert len(stored_files()) == 1
    assert redis.zcard(f"{PREFIX}active") == 1


def test_the_queue_is_bounded(api_settings: Settings) -> None:
    full = api_settings.model_copy(update={"max_queued_jobs_per_tenant": 1})
    with serving(full) as small:
        assert submit(small, image_part("a.png")).status_code == 202
        refused = submit(small, image_part("a.png"))
    assert refused.status_code == 429
    assert refused.json()["code"] == "quota_exceeded"
    assert int(refused.headers["Retry-After"]) >= 1
