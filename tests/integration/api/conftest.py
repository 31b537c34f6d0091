"""The API as callers meet it: a real uvicorn server, a real store, files on a real disk."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.counters import COUNTERS
from shared.job_lifecycle import JobLifecycle, connect
from shared.settings import MEBIBYTE, Settings
from tests.integration.api.served import serving


@pytest.fixture(scope="module")
def api_settings(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Limits so small that a test can go past them."""
    return Settings(
        redis_url=valkey_url,
        data_dir=tmp_path_factory.mktemp("data"),
        clip_models=("starter", "ViT-B-32"),
        auth="open",
        max_file_bytes=MEBIBYTE,
        max_request_bytes=4 * MEBIBYTE,
        max_spec_bytes=16 * 1024,
        max_csv_bytes=16 * 1024,
        max_images=12,
    )


@pytest.fixture(scope="module")
def client(api_settings: Settings) -> Iterator[httpx.Client]:
    with serving(api_settings) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_is_stored(redis: Redis, stored_files: Callable[[], list[Path]]) -> None:
    redis.flushall()
    for path in stored_files():
        path.unlink()


@pytest.fixture
def redis(api_settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(api_settings.redis_url, decode_responses=True) as redis:
        yield redis


@pytest.fixture
def worker(api_settings: Settings) -> Iterator[JobLifecycle]:
    """The worker's side of the store."""
    with connect(api_settings) as connection:
        yield JobLifecycle(connection, api_settings, "worker-1")


@pytest.fixture
def stored_files(api_settings: Settings) -> Callable[[], list[Path]]:
    """Every file in object storage, half-written ones too."""
    root = api_settings.data_dir / "storage"

    def files() -> list[Path]:
        # `os.walk` passes over a folder that is being removed meanwhile; `rglob` does not.
        return [Path(folder) / name for folder, _, names in os.walk(root) for name in names]

    return files


@pytest.fixture
def assert_nothing_is_left(
    stored_files: Callable[[], list[Path]], redis: Redis
) -> Callable[[], None]:
    def check() -> None:
        assert stored_files() == []
        # The server counts its requests, refused ones too, and brings the numbers now and then.
        assert set(redis.keys()) <= {COUNTERS}

    return check
