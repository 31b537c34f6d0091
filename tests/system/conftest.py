"""Servers of the host's own packages."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
import redis

from tests.fixtures.waiting import PATIENCE


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float) -> None:
    """Return once `ready()`; fail as soon as `process` has ended, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args!r} was not ready in {seconds} s"
        time.sleep(0.1)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process whose output goes to `log`; it is asked to stop, then made to."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        try:
            yield process
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace"))
            raise
        finally:
            process.terminate()
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def gridscribe() -> Path:
    """The installed command."""
    return Path(sys.executable).with_name("gridscribe")


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A new `redis-server` of the host on a port of its own."""
    server = shutil.which("redis-server")
    assert server, "no redis-server on PATH: apt-get install redis-server"
    port = free_port()
    folder = tmp_path / "redis"
    folder.mkdir()
    url = f"redis://127.0.0.1:{port}/0"
    command: list[str | Path] = [
        *(server, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
        *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
    ]
    with (
        running(command, log=tmp_path / "redis.log") as process,
        redis.Redis.from_url(url) as client,
    ):
        wait_until(lambda: _answers(client), process, seconds=PATIENCE)
        yield url


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def server_url(gridscribe: Path, redis_url: str, tmp_path: Path) -> Iterator[str]:
    """The whole service, kept in the Redis at `redis_url`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [
        *(gridscribe, "dev", "--host", "127.0.0.1", "--port", str(port)),
        *("--data-dir", tmp_path / "data"),
    ]
    env = {key: value for key, value in os.environ.items() if not key.startswith("GRIDSCRIBE_")}
    env["REDIS_URL"] = redis_url
    with running(command, log=tmp_path / "dev.log", env=env) as process:
        wait_until(lambda: _is_ready(url), process, seconds=300)
        yield url


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
