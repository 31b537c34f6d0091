"""The store's memory, its disk, or the sheets' disk is full."""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from signal import Signals

import httpx
import pytest
from redis.exceptions import OutOfMemoryError

from gridscribe.client import Client
from tests.fixtures.deployment import LEASE_SECONDS, Deployment
from tests.fixtures.fault_jobs import CAPTIONED, PLAIN, begun, check_done_once, pictures
from tests.fixtures.full_disk import files_bounded
from tests.fixtures.waiting import PATIENCE, wait_until
from tests.integration.job_life_rules import Snapshot, check_store

pytestmark = pytest.mark.faults

PROMPTLY, SLACK = 2.0, 10.0
"""Seconds in which a caller has an answer, and those that a busy machine may add."""


@contextlib.contextmanager
def memory_bounded(service: Deployment, limit: float) -> Iterator[None]:
    """The store may use so many bytes."""
    service.redis().config_set("maxmemory", round(limit))
    try:
        yield
    finally:
        service.redis().config_set("maxmemory", 0)
        service.redis().delete("ballast", "more ballast")


def test_a_store_short_of_memory_refuses_jobs_and_finishes_those_it_has(
    service: Deployment, client: Client
) -> None:
    service.redis().set("ballast", b"x" * 64 * 1024 * 1024)
    used = service.redis().info("memory")["used_memory"]
    with memory_bounded(service, (used + 1_000_000) / 0.9):
        service["dispatcher"].send(Signals.SIGSTOP)
        accepted, answer = submit_until_refused(service, 400)
        assert answer.status_code == 503
        assert answer.json()["code"] == "service_full"
        assert "memory" in answer.json()["detail"]
        assert accepted
        service["dispatcher"].send(Signals.SIGCONT)
        for job_id in accepted:
            assert client.jobs.wait(job_id, timeout=300).status == "succeeded"


def fill_to_the_brim(service: Deployment) -> None:
    """Somebody else takes all that the store has left."""
    with service.redis() as redis:
        for size in (64 * 1024, 1024):
            with contextlib.suppress(OutOfMemoryError):
                while True:
                    redis.rpush("more ballast", "x" * size)


def restart_dead_workers(service: Deployment) -> None:
    """Celery ends a worker whose broker has no room to note what it took."""
    for name in ("caption", "compose"):
        if not service[name].is_running:
            service.launch(name)


def test_a_store_filled_to_the_brim_by_others_breaks_nothing_and_drains_after(
    service: Deployment, client: Client
) -> None:
    service.start("caption", failpoints="caption.decode=sleep:0.2")
    service.start("compose", failpoints="compose.before_store=sleep:1")
    captioned = [client.jobs.create(pictures(40), CAPTIONED) for _ in range(2)]
    plain = [client.jobs.create(pictures(4), PLAIN) for _ in range(4)]
    jobs = {job.id: "default" for job in (*captioned, *plain)}
    wait_until(begun(service, captioned[0]))
    wait_until(begun(service, plain[0]))

    def carried_on() -> bool:
        """What had begun goes on, and ends, in the full store."""
        captions_done = service.record(captioned[0].id)["captions_done"]
        return captions_done == "40" and client.jobs.get(plain[0].id).status == "succeeded"

    service.redis().set("ballast", b"x" * 16 * 1024 * 1024)
    used = service.redis().info("memory")["used_memory"]
    with memory_bounded(service, used + 500_000):
        started = time.monotonic()
        while time.monotonic() < started + 4 * LEASE_SECONDS or not carried_on():
            assert time.monotonic() < started + PATIENCE, "what had begun does not end"
            fill_to_the_brim(service)
            asked = time.monotonic()
            assert submit(service, str(uuid.uuid4())).status_code == 503
            assert time.monotonic() - asked < PROMPTLY + SLACK
            statuses = {client.jobs.get(job_id).status for job_id in jobs}
            assert statuses <= {"queued", "running", "succeeded"}
            restart_dead_workers(service)
            time.sleep(0.1)
        with service.redis() as redis:
            check_store(Snapshot(redis), jobs, {})
    deadline = time.monotonic() + 300
    while any(not client.jobs.get(job_id).status.is_terminal for job_id in jobs):
        assert time.monotonic() < deadline
        restart_dead_workers(service)
        time.sleep(0.1)
    for job in (*captioned, *plain):
        check_done_once(service, client, job, captioned=job in captioned)
    service.start("caption", "compose")


def submit_until_refused(service: Deployment, most: int) -> tuple[list[str], httpx.Response]:
    """The ids of the jobs that were accepted, and the first other answer."""
    accepted: list[str] = []
    while True:
        answer = submit(service, str(uuid.uuid4()))
        if answer.status_code != 202:
            return accepted, answer
        accepted.append(answer.json()["id"])
        assert len(accepted) < most, "never refused"


def submit(service: Deployment, key: str) -> httpx.Response:
    return httpx.post(
        f"{service.base_url}/v1/jobs",
        data={"spec": PLAIN.model_dump_json(exclude_unset=True)},
        files=[("images", (name, data, "image/png")) for name, data in pictures(60)],
        headers={"Idempotency-Key": key},
        timeout=30,
    )


def test_a_full_disk_under_the_sheets_delays_them_until_there_is_room(
    service: Deployment, client: Client
) -> None:
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _group(int(entry.name)) == service["compose"].pid
    ]
    with files_bounded(children, 100):
        job = client.jobs.create(pictures(4), PLAIN)
        wait_until(lambda: service["compose"].says("File too large"))
        time.sleep(7)  # longer than three attempts of any other failure would take
        assert client.jobs.get(job.id).status == "running"
    check_done_once(service, client, job, captioned=False)


def test_a_full_disk_under_the_store_loses_nothing_that_was_accepted(
    service: Deployment, client: Client
) -> None:
    before = client.jobs.create(pictures(20), CAPTIONED)
    check_done_once(service, client, before)
    [log] = (service.folder / "valkey" / "appendonlydir").glob("*.incr.aof")
    with files_bounded([service["valkey"].pid], log.stat().st_size + 60_000):
        accepted, answer = submit_until_refused(service, 50)
        assert answer.status_code == 503
        assert service["valkey"].wait() != 0
    service.start("valkey")
    for job_id in accepted:
        assert client.jobs.wait(job_id, timeout=300).status == "succeeded"
    assert client.jobs.get(before.id).status == "succeeded"


def _group(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None
