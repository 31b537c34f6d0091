"""`gridscribe listen`, with the real deliverer before it and a real receiver behind it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from shared.job_lifecycle import JobLifecycle
from shared.webhook_signature import new_secret
from tests.fixtures.waiting import PATIENCE, wait_until
from tests.fixtures.webhook_receiver import Receiver
from tests.integration.api.hand_work import fail, new_job


@contextmanager
def listening(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the URL that it says it listens on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gridscribe", "listen", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert process.stderr is not None
    try:
        words = process.stderr.readline().split()
        assert words[:2] == ["listening", "on"], words
        yield process, words[2].rstrip(",")
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("deliverer")
def test_it_has_the_service_send_to_it_prints_verified_deliveries_and_passes_them_on(
    client: httpx.Client, worker: JobLifecycle, receiver: Receiver
) -> None:
    forward = receiver.url("/ok/forwarded")
    with listening("--server", str(client.base_url), "--forward", forward) as (process, _):
        (endpoint,) = client.get("/v1/webhook-endpoints").json()["data"]
        assert len(endpoint["events"]) == 6
        job_id = new_job(client)
        fail(worker)
        assert process.stdout is not None
        lines = sorted(process.stdout.readline() for _ in range(2))
        process.terminate()
        assert process.wait(PATIENCE) == 0
    for line, event in zip(lines, ("job.failed", "job.started"), strict=True):
        assert line.startswith(event)
        assert f"job {job_id}" in line
        assert "verified -> 204" in line
    messages = wait_until(lambda: receiver.received("/ok/forwarded"))
    assert all("webhook-signature" in message["headers"] for message in messages)
    assert client.get("/v1/webhook-endpoints").json() == {"data": []}


def test_what_is_not_signed_with_the_secret_is_refused_and_not_passed_on(
    receiver: Receiver,
) -> None:
    forward = receiver.url("/ok/refused")
    with listening("--secret", new_secret(), "--forward", forward) as (process, url):
        assert httpx.post(url, json={"type": "job.failed"}).status_code == 401
        assert httpx.post(url, content=b"x" * 100_000).status_code == 413
        assert process.stdout is not None
        assert "no header webhook-id -> 401" in process.stdout.readline()
    assert receiver.count("/ok/refused") == 0


def test_a_secret_that_cannot_be_one_is_refused_without_repeating_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gridscribe", "listen", "--secret", "hunter2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "hunter2" not in done.stderr
