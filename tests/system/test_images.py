"""What each Dockerfile installs is enough to start what it starts, with nothing else there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.job_spec import JobSpec
from shared.keyspace import PREFIX
from shared.schemas import LabelSource
from tests.fixtures.deployment import Deployment
from tests.fixtures.image_install import ROOT, clean, install, last_command
from tests.fixtures.ports import free_port
from tests.fixtures.waiting import PATIENCE
from tests.system.conftest import running, wait_until

pytestmark = pytest.mark.system


@pytest.fixture
def image_folder(tmp_path: Path) -> Iterator[Path]:
    """Removed at once, for the captioning worker's has gigabytes."""
    folder = tmp_path / "image"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_the_image_of_the_api_answers(redis_url: str, tmp_path: Path, image_folder: Path) -> None:
    programs = install("Dockerfile.api", image_folder)
    assert not list(programs.parent.glob("lib/*/site-packages/torch"))
    port = str(free_port())
    program, *options = last_command("Dockerfile.api")
    command: list[str | Path] = [
        programs / program,
        *(port if it == "8000" else it for it in options),
    ]
    work = tmp_path / "app"
    work.mkdir()
    env = {
        **clean(programs),
        "GRIDSCRIBE_REDIS_URL": redis_url,
        "GRIDSCRIBE_DATA_DIR": str(tmp_path / "data"),
    }
    with running(["env", "-C", work, *command], log=tmp_path / "api.log", env=env) as process:
        wait_until(lambda: answers(port), process, seconds=PATIENCE)
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz").json()
    assert ready["store"]
    assert ready["storage"]


def answers(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False


def test_the_image_of_compose_worker_and_dispatcher_runs_both(
    redis_url: str, tmp_path: Path, image_folder: Path
) -> None:
    programs = install("Dockerfile.worker", image_folder, EXTRA="compose")
    assert not list(programs.parent.glob("lib/*/site-packages/torch"))
    env = {
        **clean(programs),
        "GRIDSCRIBE_REDIS_URL": redis_url,
        "GRIDSCRIBE_DATA_DIR": str(tmp_path / "data"),
    }
    compose = "celery -A worker.app worker -Q compose -P prefork -c 1"
    dispatch = "python -m worker.dispatcher"
    with (
        Redis.from_url(redis_url) as redis,
        running([programs / "celery", *compose.split()[1:]], log=tmp_path / "c.log", env=env) as it,
        running(
            [programs / "python", *dispatch.split()[1:]], log=tmp_path / "d.log", env=env
        ) as dispatcher,
    ):
        wait_until(lambda: has_stamped(redis, "compose"), it, seconds=PATIENCE)
        wait_until(lambda: has_stamped(redis, "dispatcher"), dispatcher, seconds=PATIENCE)


def has_stamped(redis: Redis, kind: str) -> bool:
    """Whether a process of that kind has left its sign of progress."""
    return any(f'"{kind}"' in str(stamp) for stamp in redis.hvals(f"{PREFIX}workers"))


@pytest.mark.timeout(900)
def test_the_image_of_the_captioning_worker_captions_a_job(
    tmp_path: Path, image_folder: Path
) -> None:
    """Beside a store, an API, a dispatcher and a compose worker of this checkout."""
    programs = install("Dockerfile.worker", image_folder)
    program, *options = last_command("Dockerfile.worker")
    photo = ROOT / "gridscribe" / "samples" / "rocket.jpg"
    data = tmp_path / "data"
    with Deployment(data) as service:
        service.start("valkey", "api", "dispatcher", "compose")
        env = {
            **clean(programs),
            "GRIDSCRIBE_REDIS_URL": service.redis_url,
            "GRIDSCRIBE_DATA_DIR": str(data),
        }
        command: list[str | Path] = [programs / program, *options]
        with (
            running(command, log=tmp_path / "caption.log", env=env) as worker,
            service.redis() as redis,
            service.client() as client,
        ):
            wait_until(lambda: has_stamped(redis, "caption"), worker, seconds=400)
            (stamp,) = httpx.get(f"{service.base_url}/readyz").json()["caption_workers"]
            job = client.jobs.create([photo], JobSpec(use_clip=True))
            done = client.jobs.wait(job.id, timeout=300)
    assert stamp["model"] == "starter"
    assert done.status == "succeeded", done.error
    assert done.images[0].label_source == LabelSource.CLIP, done.warnings
    assert "rocket" in done.images[0].label
