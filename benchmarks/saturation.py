"""One deployment over a bucket and a Redis over TCP, kept busy over HTTP, and what it does then."""

import statistics
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import httpx
from redis import Redis

from benchmarks.picture_pool import PicturePool
from benchmarks.processes import busy_seconds, processor_seconds, resident_bytes
from shared.keyspace import PREFIX
from tests.fixtures.cluster import Cluster, Sizes
from tests.fixtures.s3 import Bucket
from worker.captioning.cores import available_cores

PATIENCE = 180.0
SENDERS = 4
LIMITS = {
    "GRIDSCRIBE_MAX_QUEUED_JOBS": "1000000",
    "GRIDSCRIBE_MAX_QUEUED_JOBS_PER_TENANT": "1000000",
    "GRIDSCRIBE_REQUESTS_PER_MINUTE": "1000000",
    "GRIDSCRIBE_LOG_LEVEL": "WARNING",
}

Moment = Literal["looked at", "finished", "accepted"]
"""What is counted: pictures as the model saw them, or those of jobs that ended or were accepted."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Jobs of `images` pictures; callers see to it that `backlog` of them are unfinished."""

    pictures: PicturePool
    images: int
    backlog: int
    use_clip: bool = True


@dataclass(frozen=True, slots=True)
class Setup:
    sizes: Sizes
    environment: Mapping[str, str] = field(default_factory=dict)
    caption_app: str = "worker.app"
    text_features: Path | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What went on while nothing was lacking."""

    rates: list[float]
    """Images a second, window by window."""
    by_worker: dict[str, int]
    """Pictures that each captioning worker looked at."""
    processor_ms: dict[str, float]
    """Of each kind of process, for an image."""
    cores_used: float
    """Share of the machine's processor time that these processes took."""
    cores_of_others: float
    """The same of everything else on the machine."""
    worker_bytes: int
    """Memory of the largest captioning worker."""
    jobs: int
    """All that were accepted, and all of them succeeded where they were waited for."""
    sent: int
    """Pictures of these jobs."""
    looks: int
    """Of models at pictures."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def evenness(self) -> float:
        """The least busy captioning worker's part of the busiest one's."""
        return min(self.by_worker.values()) / max(self.by_worker.values())


class _Callers:
    def __init__(self, cluster: Cluster, redis: "Redis", demand: Demand) -> None:
        self._cluster, self._redis, self._demand = cluster, redis, demand
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self.jobs: list[str] = []
        self._threads = [
            threading.Thread(target=self._send, args=(cluster.urls[n % len(cluster.urls)],))
            for n in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Raises what a caller met."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for error in self._errors:
            raise error

    def _send(self, url: str) -> None:
        demand = self._demand
        clip = "true" if demand.use_clip else "false"
        spec = f'{{"use_clip": {clip}, "cell_size": [64, 64], "format": "jpeg"}}'
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                while not self._stopping.is_set():
                    if self._redis.zcard(f"{PREFIX}active") >= demand.backlog:
                        self._stopping.wait(0.02)
                        continue
                    files: list[tuple[str, tuple[str | None, bytes | str]]] = [
                        ("spec", (None, spec)),
                        *(
                            ("images", (f"{n}.jpg", demand.pictures.fresh()))
                            for n in range(demand.images)
                        ),
                    ]
                    answer = client.post("/v1/jobs", files=files).raise_for_status()
                    self.jobs.append(answer.json()["id"])
        except (httpx.HTTPError, OSError) as error:
            self._errors.append(error)


def saturate(
    folder: Path,
    bucket: Bucket,
    setup: Setup,
    demand: Demand,
    moment: Moment,
    *,
    windows: int,
    window_seconds: float,
    warm_seconds: float = 3.0,
) -> Found:
    """Start the deployment, keep it busy, and look at it for so many windows.

    Unless only acceptance is counted, every job is waited for afterwards; RuntimeError where one
    does not succeed, or its pictures were not looked at once each.
    """
    environment = {
        **LIMITS,
        **bucket.environment,
        "GRIDSCRIBE_STORAGE_URL": bucket.url(f"scale-out/{uuid.uuid4()}"),
        **setup.environment,
    }
    cluster = Cluster(
        folder,
        setup.sizes,
        environment,
        caption_app=setup.caption_app,
        text_features=setup.text_features,
        log=tell_trouble,
    )
    with cluster, Redis.from_url(cluster.redis_url, decode_responses=True) as redis:
        cluster.wait_ready(PATIENCE)
        with _calling(cluster, redis, demand) as callers:
            _until(lambda: _is_busy(cluster, callers, redis, moment), "the service to be busy")
            time.sleep(warm_seconds)
            before = _Clocks(cluster, bucket)
            time.sleep(windows * window_seconds)
            after = _Clocks(cluster, bucket)
            memory = resident_bytes(cluster.pids)
        if moment != "accepted":
            _until(lambda: not redis.zcard(f"{PREFIX}active"), "the last job to end")
            _check(redis, cluster, callers.jobs, demand)
        times = _times(redis, cluster, callers.jobs, demand, moment)
    width = (after.at - before.at) / windows
    edges = [before.at + number * width for number in range(windows + 1)]
    rates = [
        sum(begin <= at < end for each in times.values() for at in each) / width
        for begin, end in pairwise(edges)
    ]
    counted = {name: sum(before.at <= at < after.at for at in each) for name, each in times.items()}
    spent = after.since(before)
    machine = available_cores() * (after.at - before.at)
    ours = sum(spent.values())
    return Found(
        rates=rates,
        by_worker=counted,
        processor_ms={
            kind: seconds * 1000 / max(1, sum(counted.values())) for kind, seconds in spent.items()
        },
        cores_used=ours / machine,
        cores_of_others=max(0.0, after.busy - before.busy - ours) / machine,
        worker_bytes=max((n for name, n in memory.items() if "caption" in name), default=0),
        jobs=len(callers.jobs),
        sent=len(callers.jobs) * demand.images,
        looks=sum(cluster.pictures_seen().values()),
    )


@contextmanager
def _calling(cluster: Cluster, redis: "Redis", demand: Demand) -> Iterator[_Callers]:
    callers = _Callers(cluster, redis, demand)
    try:
        yield callers
    finally:
        callers.stop()


class _Clocks:
    """The time, and the processor time of each kind of process, now."""

    def __init__(self, cluster: Cluster, bucket: Bucket) -> None:
        self.at = time.time()
        self.busy = busy_seconds()
        spent: dict[str, float] = defaultdict(float)
        for name, seconds in processor_seconds({**cluster.pids, "bucket": bucket.pid}).items():
            spent[name.partition("-")[0]] += seconds
        spent["callers"] = time.process_time()
        self._spent = spent

    def since(self, before: "_Clocks") -> dict[str, float]:
        return {kind: seconds - before._spent[kind] for kind, seconds in self._spent.items()}


def _is_busy(cluster: Cluster, callers: _Callers, redis: "Redis", moment: Moment) -> bool:
    if moment == "looked at":
        seen = cluster.pictures_seen()
        return len(seen) == len([n for n in cluster.pids if "caption" in n]) and all(seen.values())
    return len(callers.jobs) > redis.zcard(f"{PREFIX}active") or (
        moment == "accepted" and bool(callers.jobs)
    )


def _check(redis: "Redis", cluster: Cluster, jobs: Sequence[str], demand: Demand) -> None:
    """The fault that a rate would hide: work lost, or done twice."""
    ended = Counter(redis.hget(f"{PREFIX}job:{job}", "status") for job in jobs)
    if ended != Counter(succeeded=len(jobs)):
        raise RuntimeError(f"of {len(jobs)} jobs some did not succeed: {dict(ended)}")
    sent = len(jobs) * demand.images
    if demand.use_clip:
        # Rows are written a moment after the model has looked.
        _until(lambda: sum(cluster.pictures_seen().values()) >= sent, f"all {sent} to be looked at")


def _times(
    redis: "Redis", cluster: Cluster, jobs: Sequence[str], demand: Demand, moment: Moment
) -> dict[str, list[float]]:
    """Unix times of pictures: by captioning worker where these are what is counted."""
    if moment == "looked at":
        return cluster.times_of_looks()
    name = "finished_at" if moment == "finished" else "created_at"
    milliseconds = [float(redis.hget(f"{PREFIX}job:{job}", name) or 0) for job in jobs]
    return {"all": [each / 1000 for each in milliseconds for _ in range(demand.images)]}


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE:g} s for {what}, in vain")
        time.sleep(0.05)


def tell_trouble(name: str, line: str) -> None:
    if " ERROR " in line or "Traceback" in line or name == "stack":
        print(f"{name} | {line}", flush=True)  # noqa: T201 # or nobody would hear of it
