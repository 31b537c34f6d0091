"""Waiting, following, retrying and deleting while the service's own workers do the work."""

import io
import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from PIL import Image

from gridscribe.client import ApiError, Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from shared.schemas import JobStatus, Stage
from tests.fixtures.waiting import wait_until

PHOTOS = sorted((Path(__file__).parents[2] / "gridscribe" / "samples").glob("*.jpg"))
SPEC = JobSpec(use_clip=True, cell_size=(64, 64))


def never_seen(count: int) -> list[tuple[str, bytes]]:
    """Pictures that the cache of earlier ones does not hold."""
    pictures = []
    for number in range(count):
        file = io.BytesIO()
        Image.effect_noise((320, 240), 60).save(file, "PNG")
        pictures.append((f"noise-{number}.png", file.getvalue()))
    return pictures


@pytest.fixture(scope="module")
def client(stack: DevStack) -> Iterator[Client]:
    with Client(stack.base_url) as client:
        yield client


def test_one_request_brings_the_finished_job(stack: DevStack) -> None:
    answer = httpx.post(
        f"{stack.base_url}/v1/jobs",
        files=[("images", (photo.name, photo.read_bytes())) for photo in PHOTOS[:3]],
        headers={"Prefer": "wait=60", "Cancel-After": "10m"},
        timeout=70,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=60"


def test_a_job_is_followed_stage_by_stage(client: Client) -> None:
    job = client.jobs.create(never_seen(60), SPEC)  # or captions may be there before who follows
    updates = list(client.jobs.events(job.id))
    order = list(Stage)
    stages = [order.index(update.progress.stage) for update in updates]
    assert all(before <= after for before, after in pairwise(stages))
    assert {Stage.CAPTIONING, Stage.COMPOSING} <= {update.progress.stage for update in updates}
    assert updates[-1].job == client.jobs.get(job.id)
    assert updates[-1].status is JobStatus.SUCCEEDED


def test_a_canceled_job_is_done_after_all(client: Client, stack: DevStack, tmp_path: Path) -> None:
    os.kill(stack.pids["caption"], signal.SIGSTOP)  # or the job may be done before the cancel comes
    try:
        job = client.jobs.create(PHOTOS * 3, SPEC)
        client.jobs.cancel(job.id)
    finally:
        os.kill(stack.pids["caption"], signal.SIGCONT)
    assert client.jobs.wait(job.id, timeout=300).status is JobStatus.CANCELED
    assert client.jobs.retry(job.id).status is JobStatus.QUEUED
    done = client.jobs.wait(job.id, timeout=300)
    assert done.status is JobStatus.SUCCEEDED
    assert len(done.images) == len(PHOTOS) * 3
    assert client.jobs.download(job.id, tmp_path / "sheet.png")


def test_a_running_job_that_is_deleted_leaves_no_file(client: Client, stack: DevStack) -> None:
    job = client.jobs.create(PHOTOS * 20, SPEC)
    folder = stack.data_dir / "storage" / "jobs" / job.id
    next(update for update in client.jobs.events(job.id) if update.status is JobStatus.RUNNING)
    assert folder.exists()
    client.jobs.delete(job.id)
    with pytest.raises(ApiError, match="there is no job"):
        client.jobs.get(job.id)
    wait_until(lambda: not folder.exists())
