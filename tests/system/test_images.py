"""What each Dockerfile installs is enough to start what it starts, with nothing else there.

The build stage's commands run as they stand in the file, with folders of this machine in place of
the image's; so the files are fetched from the package index and checked against their hashes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.keyspace import PREFIX
from tests.fixtures.ports import free_port
from tests.system.conftest import running, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
SOURCE = ("api", "gridscribe", "requirements", "shared", "worker", "LICENSE", "pyproject.toml")


def install(dockerfile: str, folder: Path, **arguments: str) -> Path:
    """The folder of the programs that the image would hold."""
    source = folder / "source"
    source.mkdir()
    for name in (*SOURCE, "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    build = text[: text.rindex("\nFROM python")]
    subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True)
    for step in re.findall(r"^RUN (.+)$", build, re.MULTILINE):
        command = re.sub(r"--mount=\S+", "", step)
        for place in ("/venv", "/wheels"):
            command = re.sub(rf"(?<![\w.}}]){place}\b", f"{folder}{place}", command)
        subprocess.run(
            ["sh", "-ec", command],
            cwd=source,
            env={**clean(folder / "python" / "bin"), **arguments},
            check=True,
        )
    return folder / "venv" / "bin"


def clean(programs: Path) -> dict[str, str]:
    """An environment in which only `programs` and the system's are found."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    return {**kept, "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(programs)}


def last_command(dockerfile: str) -> list[str]:
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    command: list[str] = json.loads(re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)[-1])
    return command


def test_the_image_of_the_api_answers(redis_url: str, tmp_path: Path) -> None:
    programs = install("Dockerfile.api", tmp_path)
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
        wait_until(lambda: answers(port), process, seconds=60)
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz").json()
    assert ready["store"]
    assert ready["storage"]


def answers(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False


def test_the_image_of_compose_worker_and_dispatcher_runs_both(
    redis_url: str, tmp_path: Path
) -> None:
    programs = install("Dockerfile.worker", tmp_path, EXTRA="compose")
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
        wait_until(lambda: has_stamped(redis, "compose"), it, seconds=60)
        wait_until(lambda: has_stamped(redis, "dispatcher"), dispatcher, seconds=60)


def has_stamped(redis: Redis, kind: str) -> bool:
    """Whether a process of that kind has left its sign of progress."""
    return any(f'"{kind}"'.encode() in stamp for stamp in redis.hvals(f"{PREFIX}workers"))
