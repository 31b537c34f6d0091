"""Hosts whose clocks are wrong, and jump while work goes on: nothing comes of it.

Debian's libfaketime gives each process the clock of its host. The store's is right: it is the one
that counts.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gridscribe.client import Client
from shared.job_spec import JobSpec, JobWebhook
from shared.webhook_signature import new_secret, verify
from tests.fixtures.deployment import ROOT, Deployment
from tests.fixtures.fault_jobs import CAPTIONED, begun, check_done_once, pictures
from tests.fixtures.half_sent import half_sent
from tests.fixtures.waiting import PATIENCE, wait_until
from tests.fixtures.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.system

AHEAD, BEHIND, RIGHT = "+3600", "-3600", "+0"


class HostClock:
    """Of one host: processes that are started with its `environment` go by it."""

    def __init__(self, file: Path, offset: str) -> None:
        """`offset` is in seconds, with its sign."""
        self._file = file
        self.jump_to(offset)
        preload = subprocess.run(
            ["faketime", "-f", RIGHT, "printenv", "LD_PRELOAD"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        self.environment = {
            "PYTHONPATH": f"{ROOT / 'tests/fixtures/wrong_clock'}:{ROOT}",
            "LD_PRELOAD": preload,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as on any host: only the time of day jumps
        }

    def jump_to(self, offset: str) -> None:
        """Followed within a second."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset}\n")
        fresh.replace(self._file)

    def now(self) -> float:
        """What a process of this host takes for the time."""
        environment = {**os.environ, **self.environment}
        told = subprocess.run(
            ["date", "+%s"], env=environment, check=True, capture_output=True, text=True
        )
        return float(told.stdout)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> HostClock:
    """The clock of the host of API and dispatcher."""
    return HostClock(tmp_path_factory.mktemp("front") / "clock", BEHIND)


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> HostClock:
    """The clock of the host of the workers."""
    return HostClock(tmp_path_factory.mktemp("back") / "clock", AHEAD)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, front: HostClock, back: HostClock
) -> Iterator[Deployment]:
    with Deployment(
        tmp_path_factory.mktemp("service"), allowed_networks="127.0.0.0/8", allowed_ports="*"
    ) as service:
        service.start("valkey")
        service.start("api", "dispatcher", environment=front.environment)
        service.start("caption", "compose", "deliverer", environment=back.environment)
        yield service


@pytest.fixture
def client(service: Deployment) -> Iterator[Client]:
    with service.client() as client:
        yield client


def test_the_clocks_are_wrong_indeed(front: HostClock, back: HostClock) -> None:
    assert back.now() - time.time() == pytest.approx(3600, abs=10)
    assert front.now() - time.time() == pytest.approx(-3600, abs=10)


def test_a_clock_that_jumps_has_no_lease_end_and_nothing_done_twice(
    service: Deployment, client: Client, front: HostClock, back: HostClock
) -> None:
    service.start("caption", environment=back.environment, failpoints="caption.decode=sleep:0.8")
    job = client.jobs.create(pictures(48), CAPTIONED)
    wait_until(begun(service, job))
    for number, clock in enumerate((back, front, back, front)):
        clock.jump_to((BEHIND, AHEAD)[number % 2])
        time.sleep(1.2)
    assert not client.jobs.get(job.id).status.is_terminal, "the clocks jumped while it was at work"
    done = check_done_once(service, client, job)
    assert done.attempts == 1
    assert abs(done.created_at.timestamp() - time.time()) < 120
    assert done.finished_at is not None
    assert done.created_at < done.finished_at < datetime.now(UTC)


def test_no_file_of_a_submission_under_way_is_swept(
    service: Deployment, client: Client, front: HostClock, back: HostClock
) -> None:
    front.jump_to(BEHIND)
    back.jump_to(AHEAD)
    service.start("api", environment=front.environment)
    with half_sent(service) as submission:
        for _ in range(2):  # each looks for files without a record as it starts
            service.start("dispatcher-2", environment=back.environment)
            wait_until(lambda: service.redis().zcard("{gridscribe}:orphans") == 1)
        service.stop("dispatcher-2")
        assert b" 202 " in submission.finish()
    assert client.jobs.wait(submission.job_id, timeout=PATIENCE).status == "succeeded"


def test_a_webhook_carries_the_stores_time(client: Client, receiver: Receiver) -> None:
    secret = new_secret()
    webhook = JobWebhook(url=receiver.url("/ok"), secret=secret)
    job = client.jobs.create(pictures(1), JobSpec(webhook=webhook))
    wait_until(lambda: receiver.count("/ok") == 1)
    [sent] = receiver.received("/ok")
    signed = verify([secret], sent["headers"], sent["body"].encode())
    assert abs(signed.timestamp.timestamp() - time.time()) < 60
    assert client.jobs.get(job.id).status == "succeeded"


def test_an_upload_is_good_until_its_time_by_the_stores_clock(service: Deployment) -> None:
    [(name, data)] = pictures(1)
    answer = httpx.post(
        f"{service.base_url}/v1/uploads", files={"file": (name, data, "image/png")}
    ).raise_for_status()
    ends = datetime.fromisoformat(answer.json()["expires_at"])
    with service.redis() as redis:
        [(_, swept)] = redis.zrange("{gridscribe}:uploads", 0, -1, withscores=True)
    assert abs(swept / 1000 - ends.timestamp()) < 120
