"""The store dies, hangs, or is cut off."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from signal import Signals

import httpx
import pytest

from gridscribe.client import Client
from tests.fixtures.deployment import LEASE_SECONDS, Deployment
from tests.fixtures.fault_jobs import CAPTIONED, check_done_once, composing, pictures
from tests.fixtures.proxy import Proxy
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults

PROMPTLY = 2.0
SLACK = 1.0
BACK = 10.0
BUSY = 20.0
"""Seconds that a slow machine may add to those that workers have promised to be back in; by what
Celery does of its own accord they would be back after 99 s, or never."""


def ask(
    service: Deployment, callers: int, images: Sequence[tuple[str, bytes]] = ()
) -> tuple[set[int], float]:
    """The statuses of the answers to so many callers at once, and the time of the slowest.

    They list jobs, or with `images` submit one of those.
    """
    files = [("images", (name, data, "image/png")) for name, data in images]

    def ask_once(_: int) -> tuple[int, float]:
        started = time.monotonic()
        answer = httpx.request(
            "POST" if files else "GET", f"{service.base_url}/v1/jobs", files=files, timeout=60
        )
        return answer.status_code, time.monotonic() - started

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(ask_once, range(callers)))
    return {status for status, _ in answers}, max(seconds for _, seconds in answers)


def check_refused_promptly(service: Deployment, callers: int, usual: float) -> None:
    """All are told in time; `usual` seconds are what this machine takes for as many when all is
    well. Who submits is told as soon as who asks. The quickest of three rounds counts: a busy
    machine may hold up the others."""
    for images in ((), pictures(2)):
        rounds = [ask(service, callers, images) for _ in range(3)]
        assert all(statuses == {503} for statuses, _ in rounds)
        assert min(seconds for _, seconds in rounds) < PROMPTLY + SLACK + 2 * usual


def check_back(service: Deployment, client: Client, seconds: float = BACK) -> None:
    """The workers take new work in time."""
    started = time.monotonic()
    job = client.jobs.create(pictures(4), CAPTIONED)
    check_done_once(service, client, job)
    assert time.monotonic() - started < seconds + BUSY


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
    returned = time.monotonic()
    deadline = returned + 300
    while not client.jobs.get(job.id).status.is_terminal:  # each unit stops its process once more
        assert time.monotonic() < deadline
        service[worker].send_to_group(Signals.SIGCONT)
        time.sleep(0.1)
    assert time.monotonic() - returned < BACK + BUSY
    check_done_once(service, client, job)
    service.start(worker)


def test_workers_are_back_soon_after_a_store_that_was_away_for_a_while(
    service: Deployment, client: Client
) -> None:
    service["valkey"].kill()
    time.sleep(15)
    service.start("valkey")
    check_back(service, client)


@pytest.mark.parametrize("seconds", [8, 60])
def test_a_store_that_stands_still_is_answered_with_503_in_time_and_heals(
    service: Deployment, client: Client, seconds: float
) -> None:
    job = client.jobs.create(pictures(40), CAPTIONED)
    _, usual = ask(service, 80)
    service["valkey"].send(Signals.SIGSTOP)
    try:
        ends = time.monotonic() + seconds
        check_refused_promptly(service, 80, usual)
        while time.monotonic() < ends:
            check_refused_promptly(service, 1, usual)
    finally:
        service["valkey"].send(Signals.SIGCONT)
    check_done_once(service, client, job)
    check_back(service, client)


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


@pytest.mark.parametrize(
    ("committed", "words"),
    [("1", b'"reason"'), ("2", b'"manifest_key"')],
    ids=["captions", "sheet"],
)
def test_a_commit_whose_answer_was_lost_with_the_store_counts_once_and_keeps_its_files(
    service: Deployment, client: Client, proxy: Proxy, committed: str, words: bytes
) -> None:
    # Scripts are in the store by then: the first call of each is answered by asking for its text.
    check_done_once(service, client, client.jobs.create(pictures(4), CAPTIONED))
    proxy.lose_answer_to(words)
    job = client.jobs.create(pictures(4), CAPTIONED)
    wait_until(lambda: service.record(job.id).get("commits") == committed)
    assert proxy.times_asked == 1
    service["valkey"].kill()
    service.start("valkey")
    wait_until(lambda: proxy.times_asked > 1, what="the commit was not sent again")
    time.sleep(1)  # for what its sender makes of the answer
    check_done_once(service, client, job)
    sheet = httpx.get(f"{service.base_url}/v1/jobs/{job.id}/result", timeout=30)
    assert sheet.content.startswith(b"\x89PNG")


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
    deadline = time.monotonic() + 300
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
