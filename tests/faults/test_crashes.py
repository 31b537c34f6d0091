"""Processes are killed and stopped while work goes on; what was accepted is done, once.

Leases are short here, so that a crash costs seconds; everything else is as in production.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from redis import Redis

from gridscribe.client import ApiError, Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from shared.schemas import Job
from tests.fixtures.fault_jobs import taken_back
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults

LEASE_SECONDS = 3
SPEC = JobSpec(use_clip=True, cell_size=(32, 32), margin=2)


@pytest.fixture(scope="module")
def brittle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A stack whose processes the tests may kill: its supervisor starts them again."""
    stack = DevStack(
        port=0,
        data_dir=tmp_path_factory.mktemp("brittle"),
        log=lambda name, line: print(f"{name:<10} | {line}"),  # noqa: T201 # beside a failure
        environment={
            "GRIDSCRIBE_LEASE_SECONDS": str(LEASE_SECONDS),
            "GRIDSCRIBE_BEAT_SECONDS": "1",
            "GRIDSCRIBE_CHUNK_SIZE": "8",
        },
    )
    with stack:
        stack.wait_ready(300)
        yield stack


@pytest.fixture
def client(brittle: DevStack) -> Iterator[Client]:
    brittle.wait_ready(300)
    with Client(brittle.base_url) as client:
        yield client


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for n in range(160):
        picture = Image.effect_noise((320, 240), 40 + n % 50).convert("RGB")
        ImageDraw.Draw(picture).text((10, 10), str(n), fill="red")
        paths.append(folder / f"picture_{n}.jpg")
        picture.save(paths[-1])
    return paths


def in_mid_job(client: Client, job: Job) -> Callable[[], bool]:
    def is_so() -> bool:
        progress = client.jobs.get(job.id).progress
        assert progress.stage in ("waiting", "captioning"), "too late to disturb the captioning"
        return progress.done > 0

    return is_so


def check_done_once(client: Client, stack: DevStack, job: Job, count: int) -> Job:
    """The job succeeds; every image has its label; every unit was committed exactly once."""
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded", job.error
    assert len(job.images) == count
    assert not [w for w in job.warnings if "captioning failed" in w.detail]
    with Redis.from_url(stack.redis_url, decode_responses=True) as redis:
        commits = redis.hget(f"{{gridscribe}}:job:{job.id}", "commits")
    assert commits == str(-(-count // 8) + 1)
    outputs = stack.data_dir / "storage" / "jobs" / job.id / "outputs"
    assert len(list(outputs.iterdir())) == 1, "one attempt's files, and no other's"
    return job


@pytest.mark.parametrize("victim", ["caption", "dispatcher", "valkey"])
def test_a_process_killed_in_mid_job_costs_nothing(
    brittle: DevStack, client: Client, pictures: list[Path], victim: str
) -> None:
    job = client.jobs.create(pictures, SPEC)
    wait_until(in_mid_job(client, job))
    os.kill(brittle.pids[victim], signal.SIGKILL)
    check_done_once(client, brittle, job, len(pictures))


def test_the_compose_worker_killed_in_mid_sheet_costs_nothing(
    brittle: DevStack, client: Client, pictures: list[Path]
) -> None:
    spec = JobSpec(cell_size=(512, 512), format="png")
    images = pictures[:80]
    job = client.jobs.create(images, spec)
    wait_until(lambda: client.jobs.get(job.id).progress.stage == "composing")
    os.killpg(brittle.pids["compose"], signal.SIGKILL)
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded"
    assert job.attempts == 2
    outputs = brittle.data_dir / "storage" / "jobs" / job.id / "outputs"
    assert [folder.name for folder in outputs.iterdir()] == ["2"]


def test_a_worker_stopped_past_its_lease_commits_nothing_when_it_wakes(
    brittle: DevStack, client: Client, pictures: list[Path]
) -> None:
    job = client.jobs.create(pictures, SPEC)
    wait_until(in_mid_job(client, job))
    worker = brittle.pids["caption"]
    os.kill(worker, signal.SIGSTOP)
    try:
        with Redis.from_url(brittle.redis_url, decode_responses=True) as redis:
            wait_until(taken_back(redis, job))
    finally:
        os.kill(worker, signal.SIGCONT)
    job = check_done_once(client, brittle, job, len(pictures))
    assert job.attempts >= 2


def test_a_store_that_was_down_comes_back_with_every_job(
    brittle: DevStack, client: Client, pictures: list[Path]
) -> None:
    before = client.jobs.create(pictures[:3], JobSpec(cell_size=(32, 32)))
    client.jobs.wait(before.id, timeout=300)
    os.kill(brittle.pids["valkey"], signal.SIGKILL)
    brittle.wait_ready(300)
    assert client.jobs.get(before.id).status == "succeeded"
    after = client.jobs.create(pictures[:3], JobSpec(cell_size=(32, 32)))
    assert client.jobs.wait(after.id, timeout=300).status == "succeeded"


def test_a_store_that_hangs_is_answered_with_503_and_heals(
    brittle: DevStack, client: Client, pictures: list[Path]
) -> None:
    job = client.jobs.create(pictures[:40], SPEC)
    valkey = brittle.pids["valkey"]
    os.kill(valkey, signal.SIGSTOP)
    try:
        times = []
        for _ in range(3):
            started = time.monotonic()
            with (
                Client(brittle.base_url, retries=0) as impatient,
                pytest.raises(ApiError) as caught,
            ):
                impatient.jobs.get(job.id)
            times.append(time.monotonic() - started)
            assert caught.value.problem.status == 503
        assert min(times) < 3, "the quickest: a busy machine may hold up the others"
    finally:
        os.kill(valkey, signal.SIGCONT)
    check_done_once(client, brittle, job, 40)
