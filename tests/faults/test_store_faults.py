"""The store dies, hangs, is cut off, or has no more room."""

import contextlib
import os
import resource
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import Signals

import httpx
import pytest

from gridscribe.client import Client
from tests.fixtures.deployment import LEASE_SECONDS, Deployment, wait_until
from tests.fixtures.fault_jobs import CAPTIONED, PLAIN, check_done_once, composing, pictures
from tests.fixtures.proxy import Proxy

pytestmark = pytest.mark.faults

PROMPTLY = 2.0
SLACK = 1.0
"""Seconds that a busy machine may add to what is promised."""
BACK = 10.0


def ask(service: Deployment, callers: int) -> tuple[set[int], float]:
    """The statuses of the answers to so many callers at once, and the time of the slowest."""

    def ask_once(_: int) -> tuple[int, float]:
        started = time.monotonic()
        answer = httpx.get(f"{service.base_url}/v1/jobs", timeout=60)
        return answer.status_code, time.monotonic() - started

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(ask_once, range(callers)))
    return {status for status, _ in answers}, max(seconds for _, seconds in answers)


def check_refused_promptly(service: Deployment, callers: int, usual: float) -> None:
    """All are told in time; `usual` seconds are what this machine takes for as many when all is
    well."""
    statuses, seconds = ask(service, callers)
    assert statuses == {503}
    assert seconds < PROMPTLY + SLACK + 2 * usual


def check_back(service: Deployment, client: Client, seconds: float = BACK) -> None:
    """The workers take new work in time."""
    started = time.monotonic()
    job = client.jobs.create(pictures(4), CAPTIONED)
    check_done_once(service, client, job)
    assert time.monotonic() - started < seconds + 5


@pytest.mark.parametrize(
    "point", ["caption.infer=sleep:2*1", "caption.before_commit=stop", "compose.before_commit=stop"]
)
def test_a_store_killed_in_mid_work_loses_and_repeats_nothing(
    service: Deployment, client: Client, point: str
) -> None:
    worker = point.partition(".")[0]
    service.start(worker, failpoints=point)
    job = client.jobs.create(pictures(20), CAPTIONED)
    key = f"{{gridscribe}}:leases:{worker}"
    wait_until(lambda: service.redis().zcard(key) > 0)
    if worker == "compose":
        wait_until(composing(service, job))
    time.sleep(0.5)
    service["valkey"].kill()
    service[worker].send_to_group(Signals.SIGCONT)
    time.sleep(1)
    service.start("valkey")
    deadline = time.monotonic() + 60
    while not client.jobs.get(job.id).status.is_terminal:  # each unit stops its process once more
        assert time.monotonic() < deadline
        service[worker].send_to_group(Signals.SIGCONT)
        time.sleep(0.1)
    check_done_once(service, client, job)
    service.start(worker)


def test_workers_are_back_soon_after_a_store_that_was_away_for_a_while(
    service: Deployment, client: Client
) -> None:
    service["valkey"].kill()
    time.sleep(15)
    service.start("valkey")
    check_back(service, client)


def test_a_store_that_stands_still_is_answered_with_503_in_time_and_heals(
    service: Deployment, client: Client
) -> None:
    job = client.jobs.create(pictures(40), CAPTIONED)
    _, usual = ask(service, 80)
    service["valkey"].send(Signals.SIGSTOP)
    try:
        ends = time.monotonic() + 8
        check_refused_promptly(service, 80, usual)
        while time.monotonic() < ends:
            check_refused_promptly(service, 1, usual)
    finally:
        service["valkey"].send(Signals.SIGCONT)
    check_done_once(service, client, job)


@pytest.fixture
def proxy(service: Deployment) -> Iterator[Proxy]:
    """Between the store and all other processes; afterwards they are as before."""
    names = ("api", "dispatcher", "caption", "compose")
    with Proxy(service.redis_url) as proxy:
        service.start(*names, redis_url=proxy.url)
        yield proxy
        for name in names:
            service[name].kill()
    service.start(*names)


def test_black_holes_cuts_and_dead_connections_heal(
    service: Deployment, client: Client, proxy: Proxy
) -> None:
    _, usual = ask(service, 20)
    before = client.jobs.create(pictures(40), CAPTIONED)
    proxy.pause()
    check_refused_promptly(service, 20, usual)
    time.sleep(3 * LEASE_SECONDS)
    proxy.resume()
    check_done_once(service, client, before)

    before = client.jobs.create(pictures(40), CAPTIONED)
    proxy.cut()
    check_refused_promptly(service, 20, usual)
    time.sleep(3)
    proxy.mend()
    check_done_once(service, client, before)
    check_back(service, client)

    proxy.delay(0.02)
    check_back(service, client, 15)
    proxy.delay(0)

    # The connections die without a word. A worker that reads from such a one sees that it takes
    # nothing any more, and ends for its supervisor to start it again.
    proxy.freeze_connections()
    job = client.jobs.create(pictures(12), CAPTIONED)
    left = set()
    deadline = time.monotonic() + 80
    while not client.jobs.get(job.id).status.is_terminal:
        assert time.monotonic() < deadline
        for name in ("caption", "compose"):
            if not service[name].is_running:
                left.add(name)
                assert service[name].says("takes no messages any more")
                service.start(name, redis_url=proxy.url)
        time.sleep(0.1)
    assert left == {"caption", "compose"}
    check_done_once(service, client, job)


@contextlib.contextmanager
def memory_bounded(service: Deployment, limit: float) -> Iterator[None]:
    """The store may use so many bytes."""
    service.redis().config_set("maxmemory", round(limit))
    try:
        yield
    finally:
        service.redis().config_set("maxmemory", 0)
        service.redis().delete("ballast")


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
            assert client.jobs.wait(job_id, timeout=100).status == "succeeded"


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


@contextlib.contextmanager
def files_bounded(pids: list[int], size: int) -> Iterator[None]:
    """No file of these processes grows beyond `size` bytes: to them the disk is full."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(
                    pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
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
        assert client.jobs.wait(job_id, timeout=60).status == "succeeded"
    assert client.jobs.get(before.id).status == "succeeded"


def test_a_torn_tail_of_the_stores_log_is_cut_off_and_told(
    service: Deployment, client: Client
) -> None:
    before = client.jobs.create(pictures(4), CAPTIONED)
    check_done_once(service, client, before)
    service["valkey"].kill()
    [log] = (service.folder / "valkey" / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf of a val")
    service.start("valkey")
    assert service["valkey"].says("Truncating the AOF")
    assert client.jobs.get(before.id).status == "succeeded"
    check_back(service, client)


def _group(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None
