"""The whole service with its files in a bucket: no disk is shared by its parts."""

import uuid
from pathlib import Path

import httpx
import pytest
from PIL import Image

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from shared.object_storage import ObjectStorage
from tests.fixtures.s3 import Bucket

PHOTOS = sorted((Path(__file__).parents[2] / "gridscribe" / "samples").glob("*.jpg"))[:4]


def test_a_job_is_captioned_composed_and_fetched_through_a_bucket(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = bucket.url(f"e2e/{uuid.uuid4()}")
    environment = {**bucket.environment, "GRIDSCRIBE_STORAGE_URL": url}
    stack = DevStack(
        port=0,
        data_dir=tmp_path / "data",
        log=lambda name, line: print(f"{name:<10} | {line}"),  # noqa: T201 (pytest shows it)
        environment=environment,
    )
    with stack, Client(stack.base_url) as client:
        stack.wait_ready(timeout=300)
        job = client.jobs.create(PHOTOS, JobSpec(use_clip=True, cell_size=(64, 64)))
        job = client.jobs.wait(job.id, timeout=300)
        assert job.status == "succeeded", (job.error, capsys.readouterr().out)
        assert job.result is not None
        link = httpx.get(job.result.url)
        assert link.status_code == 307
        assert link.headers["Location"].startswith(bucket.endpoint)
        (sheet,) = client.jobs.download(job.id, tmp_path / "sheet.png")
        manifest = client.jobs.manifest(job.id)
    assert Image.open(sheet).size == (job.result.width, job.result.height)
    assert all(image.picture is not None for image in manifest.images)
    keys = list(ObjectStorage(url).list_keys(""))
    assert len([key for key in keys if "/inputs/" in key]) == len(PHOTOS)
    assert len([key for key in keys if "/outputs/" in key]) == 2  # the page and the manifest
    assert not (tmp_path / "data" / "storage").exists()
