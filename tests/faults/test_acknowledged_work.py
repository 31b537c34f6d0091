"""What was acknowledged is there after the store was killed in mid-stream, three times over."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from gridscribe.client import ApiError, Client, ServerUnreachableError
from shared.schemas import Job
from tests.fixtures.deployment import Deployment
from tests.fixtures.fault_jobs import CAPTIONED, PLAIN, check_done_once, pictures
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults

KILLS = 3
PUSHERS, PUSHES = 4, 300
CALLERS, JOBS = 3, 8
"""So many are acknowledged, at least, before each kill and after the last."""


@contextmanager
def threads(count: int, target: Callable[[int, threading.Event], None]) -> Iterator[None]:
    """Call `target` with a number and the event of the end, in so many threads."""
    is_over = threading.Event()
    running = [threading.Thread(target=target, args=(n, is_over)) for n in range(count)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in running:
            thread.join()


def kill_in_mid_stream(service: Deployment, acknowledged: list[Job] | list[str], pace: int) -> None:
    """Kill the store again and again, each time when `pace` more were acknowledged."""

    def go_on() -> None:
        wanted = len(acknowledged) + pace
        wait_until(lambda: len(acknowledged) >= wanted)

    for _ in range(KILLS):
        go_on()
        service["valkey"].kill()
        time.sleep(0.5)
        service.start("valkey")
    go_on()


def test_every_acknowledged_push_survives_three_kills_in_mid_stream(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    def push(pusher: int, is_over: threading.Event) -> None:
        """One number after the other, none of them twice."""
        with Redis.from_url(service.redis_url, retry=None) as redis:
            for number in itertools.count():
                if is_over.is_set():
                    return
                try:
                    redis.rpush("stream", f"{pusher}:{number}")
                except RedisError:
                    time.sleep(0.05)
                else:
                    acknowledged.append(f"{pusher}:{number}")

    with Deployment(tmp_path) as service:
        service.start("valkey")
        with threads(PUSHERS, push):
            kill_in_mid_stream(service, acknowledged, PUSHES)
        with service.redis() as redis:
            stored = redis.lrange("stream", 0, -1)
            assert len(set(stored)) == len(stored)
            assert set(acknowledged) <= set(stored)
            in_doubt = set(stored) - set(acknowledged)
            assert len(in_doubt) <= KILLS * PUSHERS, "one each that was not answered any more"
            # To a killed process the system's own memory is as good as the disk. For a host that
            # loses power, each write must be on the disk before it is acknowledged.
            assert redis.config_get("appendfsync") == {"appendfsync": "always"}


def test_every_accepted_job_survives_three_kills_of_the_store_in_mid_stream(
    service: Deployment, client: Client
) -> None:
    accepted: list[Job] = []

    def submit(_: int, is_over: threading.Event) -> None:
        with service.client(retries=0) as caller:
            for number in itertools.count():
                if is_over.is_set():
                    return
                try:
                    spec = CAPTIONED if number % 2 else PLAIN
                    accepted.append(caller.jobs.create(pictures(2), spec))
                except (ApiError, ServerUnreachableError):
                    time.sleep(0.05)

    with threads(CALLERS, submit):
        kill_in_mid_stream(service, accepted, JOBS)

    def are_over() -> bool:
        for name in ("caption", "compose"):  # one that takes no messages any more ends, to be
            if not service[name].is_running:  # started again
                service.start(name)
        return all(client.jobs.get(job.id).status.is_terminal for job in accepted)

    wait_until(are_over, 300)
    for job in accepted:
        captioned = service.record(job.id)["captions_total"] != "0"
        check_done_once(service, client, job, captioned=captioned)
