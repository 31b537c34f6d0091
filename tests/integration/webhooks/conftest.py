"""Webhooks as they are in production: a store, the API, a deliverer process, a receiver process."""

import subprocess
from collections.abc import Iterator
from ipaddress import ip_network

import httpx
import pytest
from redis import Redis

from shared.job_lifecycle import JobLifecycle, connect
from shared.settings import Settings
from tests.fixtures.waiting import PATIENCE
from tests.fixtures.webhook_receiver import Receiver, receiving
from tests.integration.api.served import serving
from tests.integration.webhooks.delivering import start_deliverer

LOOPBACK = ip_network("127.0.0.0/8")


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with receiving(ports=10) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def webhook_settings(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An attempt may take five seconds, so that one that hangs is over soon."""
    return Settings(
        redis_url=valkey_url,
        data_dir=tmp_path_factory.mktemp("data"),
        auth="open",
        public_url="http://sheets.example",
        allowed_networks=(LOOPBACK,),
        allowed_ports=None,
        webhook_timeout_seconds=5,
    )


@pytest.fixture(scope="module")
def client(webhook_settings: Settings) -> Iterator[httpx.Client]:
    with serving(webhook_settings) as client:
        yield client


@pytest.fixture(scope="module")
def deliverer(webhook_settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = start_deliverer(webhook_settings)
    yield process
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.fixture(autouse=True)
def redis(webhook_settings: Settings) -> Iterator[Redis]:
    """The store, empty."""
    with Redis.from_url(webhook_settings.redis_url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def worker(webhook_settings: Settings) -> Iterator[JobLifecycle]:
    with connect(webhook_settings) as connection:
        yield JobLifecycle(connection, webhook_settings, "worker-1")
