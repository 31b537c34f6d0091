"""Keep the service at saturation and watch it: `python -m benchmarks.load --minutes 10`.

Four tenants want more than the service can do. What is refused is sent again after the pause that
`Retry-After` names, as any caller should. docs/reports/load.md comes of it.
"""

import argparse
import random
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from redis import Redis

from benchmarks.load_figures import Finished, Observations, Sample
from benchmarks.load_report import write_report
from benchmarks.picture_pool import PicturePool
from benchmarks.processes import busy_seconds, processor_seconds, resident_bytes
from shared.api_keys import ApiKeys
from shared.keyspace import PREFIX
from tests.fixtures.cluster import Cluster, Sizes
from worker.captioning.cores import available_cores

JOBS = "/v1/jobs"
PICTURE_SIDE = 256
SAMPLE_SECONDS = 2.0
KEPT = 0.1
"""Of the load's time: ended jobs go while it lasts, so that what they hold is seen to be given
back."""
GIVE_UP_SECONDS = 120.0
MOST_UNFINISHED = 176
"""Work for longer than the pause that a refusal asks for, or callers' pauses would be idle time."""
LIMITS = {
    # Three tenants' bounds are a little more than all may have: both bounds are met, and nobody
    # has much less of a backlog than another, which would be all that sets their waits apart.
    "GRIDSCRIBE_MAX_QUEUED_JOBS": str(MOST_UNFINISHED),
    "GRIDSCRIBE_MAX_QUEUED_JOBS_PER_TENANT": "60",
    "GRIDSCRIBE_REQUESTS_PER_MINUTE": "100000",
    "GRIDSCRIBE_IMAGE_CACHE_MB": "0",
    "GRIDSCRIBE_LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """One tenant: `senders` submit jobs of `images` as fast as they are let."""

    tenant: str
    images: int
    senders: int
    is_patient: bool = False
    """Waits for each job to end before it sends the next."""


CALLERS = (
    Caller("flood", 40, 4),
    Caller("twin-a", 12, 4),
    Caller("twin-b", 12, 4),
    Caller("guest", 4, 1, is_patient=True),
)


@dataclass
class Traffic:
    """What the callers of all tenants saw; changed under its lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: Counter[str] = field(default_factory=Counter)
    refused: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    without_pause: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    """Job to tenant."""
    finished: dict[str, Finished] = field(default_factory=dict)

    def unfinished(self, tenant: str) -> list[str]:
        with self.lock:
            return [
                job
                for job, owner in self.accepted.items()
                if owner == tenant and job not in self.finished
            ]


def send_jobs(
    caller: Caller,
    client: httpx.Client,
    traffic: Traffic,
    pictures: PicturePool,
    stopping: threading.Event,
) -> None:
    """Submit until `stopping` is set."""
    spec = '{"use_clip": true, "cell_size": [64, 64], "format": "jpeg"}'
    while not stopping.is_set():
        files: list[tuple[str, tuple[str | None, bytes | str]]] = [("spec", (None, spec))]
        files += [("images", (f"{n}.jpg", pictures.fresh())) for n in range(caller.images)]
        try:
            answer = client.post(JOBS, files=files)
        except httpx.TransportError as error:
            with traffic.lock:
                traffic.answers[type(error).__name__] += 1
            continue
        status, pause = str(answer.status_code), answer.headers.get("Retry-After")
        with traffic.lock:
            traffic.answers[status] += 1
            if answer.is_success:
                traffic.accepted[answer.json()["id"]] = caller.tenant
            else:
                traffic.refused[caller.tenant][status] += 1
                traffic.without_pause += pause is None
        if not answer.is_success:
            # Not all at the same moment, or the queue would fill and empty by turns.
            stopping.wait(float(pause or 1) * random.uniform(1, 1.5))
        while caller.is_patient and traffic.unfinished(caller.tenant) and not stopping.wait(0.1):
            pass


def follow_jobs(
    caller: Caller,
    client: httpx.Client,
    traffic: Traffic,
    began: datetime,
    stopping: threading.Event,
) -> None:
    """Note each job of a tenant that ended, until `stopping` is set and none is left, or none
    ends for `GIVE_UP_SECONDS`: what is not seen to end counts as lost.
    """

    def since(moment: str) -> float:
        return (datetime.fromisoformat(moment) - began).total_seconds()

    last = time.monotonic()
    while (waiting := set(traffic.unfinished(caller.tenant))) or not stopping.is_set():
        try:
            listed = client.get(JOBS, params={"limit": 100}).json().get("data", [])
        except httpx.TransportError:
            listed = []
        ended = {
            job["id"]: Finished(
                tenant=caller.tenant,
                images=caller.images,
                status=job["status"],
                accepted=since(job["created_at"]),
                waited=since(job["started_at"] or job["finished_at"]) - since(job["created_at"]),
                ended=since(job["finished_at"]),
            )
            for job in listed
            if job["id"] in waiting and job["finished_at"]
        }
        with traffic.lock:
            traffic.finished.update(ended)
        last = time.monotonic() if ended or not stopping.is_set() else last
        if time.monotonic() - last > GIVE_UP_SECONDS:
            return
        time.sleep(0.5)


def watch(
    cluster: Cluster, redis: Redis, traffic: Traffic, began: float, stopping: threading.Event
) -> list[Sample]:
    samples = []
    while not stopping.wait(SAMPLE_SECONDS):
        with traffic.lock:
            answers = dict(traffic.answers)
        samples.append(
            Sample(
                seconds=time.monotonic() - began,
                unfinished_jobs=int(redis.zcard(f"{PREFIX}active")),
                memory={
                    **resident_bytes(cluster.pids),
                    "data in the store": int(redis.info("memory")["used_memory"]),
                },
                answers=answers,
            )
        )
    return samples


class _Clocks:
    """Processor time until now: the service's, the callers' and everybody's."""

    def __init__(self, cluster: Cluster) -> None:
        self.at = time.monotonic()
        self._service = sum(processor_seconds(cluster.pids).values())
        self._callers = time.process_time()
        self._all = busy_seconds()

    def shares_since(self, before: "_Clocks") -> dict[str, float]:
        """Of what the cores had to give."""
        machine = available_cores() * (self.at - before.at)
        service, callers = self._service - before._service, self._callers - before._callers
        others = self._all - before._all - service - callers
        spent = {"service": service, "callers": callers, "others": max(0.0, others)}
        return {name: seconds / machine for name, seconds in spent.items()}


def run(folder: Path, minutes: float) -> Observations:
    """Saturate a new deployment for `minutes`, let it finish, and count."""
    ttl = max(15, round(minutes * 60 * KEPT))
    environment = {
        **LIMITS,
        "GRIDSCRIBE_JOB_TTL_SECONDS": str(ttl),
        "GRIDSCRIBE_STORAGE_URL": (folder / "storage").as_uri(),
        "GRIDSCRIBE_AUTH": "required",
    }
    deaths: list[str] = []

    def log(name: str, line: str) -> None:
        if name == "stack":  # which speaks of processes that ended
            deaths.append(line)
        if name == "stack" or "ERROR" in line or "Traceback" in line:
            print(f"{name} | {line}", flush=True)  # noqa: T201 # or nobody would hear of it

    sizes = Sizes(apis=2, captions=1, composes=1)
    pictures = PicturePool(PICTURE_SIDE)
    cluster = Cluster(folder / "cluster", sizes, environment, log=log)
    traffic, stopping, over = Traffic(), threading.Event(), threading.Event()
    with cluster, Redis.from_url(cluster.redis_url, decode_responses=True) as redis:
        operator, _ = ApiKeys(redis).create("default")
        cluster.wait_ready(600, api_key=operator)
        began, began_at = time.monotonic(), datetime.now(UTC)
        threads, clients = [], []
        for number, caller in enumerate(CALLERS):
            secret, _ = ApiKeys(redis).create(caller.tenant)
            client = httpx.Client(
                base_url=cluster.urls[number % len(cluster.urls)],
                headers={"Authorization": f"Bearer {secret}"},
                timeout=60,
                # Below the API's 5 s, or one would now and then send as the other hangs up.
                limits=httpx.Limits(keepalive_expiry=2),
                trust_env=False,
            )
            clients.append(client)
            sending = (caller, client, traffic, pictures, stopping)
            following = (caller, client, traffic, began_at, stopping)
            threads += [
                *(threading.Thread(target=send_jobs, args=sending) for _ in range(caller.senders)),
                threading.Thread(target=follow_jobs, args=following),
            ]
        samples: list[Sample] = []
        watching = threading.Thread(
            target=lambda: samples.extend(watch(cluster, redis, traffic, began, over))
        )
        for thread in (*threads, watching):
            thread.start()
        before = _Clocks(cluster)
        time.sleep(minutes * 60)
        cores_of = _Clocks(cluster).shares_since(before)
        stopping.set()
        for thread in threads:
            thread.join()
        over.set()
        watching.join()
        metrics = httpx.get(
            f"{cluster.urls[0]}/metrics",
            headers={"Authorization": f"Bearer {operator}"},
            trust_env=False,
        ).text
        for client in clients:
            client.close()
    return Observations(
        seconds=minutes * 60,
        ttl_seconds=ttl,
        most_unfinished=MOST_UNFINISHED,
        accepted=len(traffic.accepted),
        finished=list(traffic.finished.values()),
        answers=dict(traffic.answers),
        refused={tenant: dict(codes) for tenant, codes in traffic.refused.items()},
        without_pause=traffic.without_pause,
        samples=samples,
        counted_accepted=_counted(metrics, "gridscribe_jobs_accepted_total"),
        counted_finished=_counted(metrics, "gridscribe_jobs_finished_total"),
        deaths=len(deaths),
        cores=available_cores(),
        cores_of=cores_of,
    )


def _counted(metrics: str, name: str) -> int:
    """The sum of a counter over its labels."""
    lines = [line for line in metrics.splitlines() if line.startswith(name)]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--report", type=Path, default=Path("docs/reports"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridscribe-load-") as folder:
        found = run(Path(folder), arguments.minutes)
    write_report(found, arguments.report)


if __name__ == "__main__":
    main()
