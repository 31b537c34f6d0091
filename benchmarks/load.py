"""Keep the service at saturation and watch it: `python -m benchmarks.load --minutes 10`.

Four tenants want more than the service can do. What is refused is sent again after the pause that
`Retry-After` names, as any caller should. docs/reports/load.md comes of it.
"""

import argparse
import io
import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
from PIL import Image
from redis import Redis

from benchmarks.load_report import Finished, Observations, Sample, write_report
from shared.api_keys import ApiKeys
from tests.fixtures.cluster import Cluster, Sizes

JOBS = "/v1/jobs"
SAMPLE_SECONDS = 5.0
TTL_SECONDS = 180
"""Finished jobs go while the load lasts, so that what they hold is seen to be given back."""
GIVE_UP_SECONDS = 120.0
LIMITS = {
    "GRIDSCRIBE_MAX_QUEUED_JOBS": "28",
    "GRIDSCRIBE_MAX_QUEUED_JOBS_PER_TENANT": "10",
    "GRIDSCRIBE_REQUESTS_PER_MINUTE": "100000",
    "GRIDSCRIBE_IMAGE_CACHE_MB": "0",
    "GRIDSCRIBE_JOB_TTL_SECONDS": str(TTL_SECONDS),
    "GRIDSCRIBE_CLIP_THREADS": "1",
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


def picture() -> bytes:
    """A new one of 256 x 256 pixels each time: the model sees none twice."""
    data = io.BytesIO()
    noise = Image.frombytes("RGB", (32, 32), os.urandom(32 * 32 * 3))
    noise.resize((256, 256), Image.Resampling.BICUBIC).save(data, "JPEG", quality=85)
    return data.getvalue()


def send_jobs(
    caller: Caller, client: httpx.Client, traffic: Traffic, stopping: threading.Event
) -> None:
    """Submit until `stopping` is set."""
    spec = '{"use_clip": true, "cell_size": [64, 64], "format": "jpeg"}'
    while not stopping.is_set():
        files: list[tuple[str, tuple[str | None, bytes | str]]] = [("spec", (None, spec))]
        files += [("images", (f"{n}.jpg", picture())) for n in range(caller.images)]
        try:
            answer = client.post(JOBS, files=files)
        except httpx.TransportError as error:
            with traffic.lock:
                traffic.answers[type(error).__name__] += 1
            continue
        with traffic.lock:
            traffic.answers[str(answer.status_code)] += 1
            if answer.status_code == 202:
                traffic.accepted[answer.json()["id"]] = caller.tenant
        if answer.status_code in (429, 503):
            stopping.wait(float(answer.headers["Retry-After"]))
        while caller.is_patient and traffic.unfinished(caller.tenant) and not stopping.wait(0.1):
            pass


def follow_jobs(
    caller: Caller, client: httpx.Client, traffic: Traffic, stopping: threading.Event
) -> None:
    """Note each job of a tenant that ended, until `stopping` is set and none is left, or none
    ends for `GIVE_UP_SECONDS`: what is not seen to end counts as lost.
    """
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
                waited=_seconds(job["created_at"], job["started_at"] or job["finished_at"]),
                took=_seconds(job["created_at"], job["finished_at"]),
                at=time.monotonic(),
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


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def resident_bytes(pids: dict[str, int]) -> dict[str, int]:
    """Memory of each process with its children, which share its process group."""
    shown = subprocess.run(
        ["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, check=True
    )
    groups: Counter[int] = Counter()
    for line in shown.stdout.splitlines():
        group, kilobytes = line.split()
        groups[int(group)] += int(kilobytes) * 1024
    return {name: groups[pid] for name, pid in pids.items()}


def watch(
    cluster: Cluster, redis: Redis, traffic: Traffic, began: float, stopping: threading.Event
) -> list[Sample]:
    samples = []
    while not stopping.wait(SAMPLE_SECONDS):
        with traffic.lock:
            done = sum(it.images for it in traffic.finished.values())
            answers = dict(traffic.answers)
        samples.append(
            Sample(
                seconds=time.monotonic() - began,
                images_done=done,
                unfinished_jobs=int(redis.zcard("{gridscribe}:active")),
                memory={
                    **resident_bytes(cluster.pids),
                    "data in the store": int(redis.info("memory")["used_memory"]),
                },
                answers=answers,
            )
        )
    return samples


def run(folder: Path, minutes: float) -> Observations:
    """Saturate a new deployment for `minutes`, let it finish, and count."""
    environment = {**LIMITS, "GRIDSCRIBE_STORAGE_URL": (folder / "storage").as_uri()}
    sizes = Sizes(apis=2, captions=1, composes=1)
    cluster = Cluster(
        folder / "cluster", sizes, environment | {"GRIDSCRIBE_AUTH": "required"}, log=_quiet
    )
    traffic, stopping, over = Traffic(), threading.Event(), threading.Event()
    with cluster, Redis.from_url(cluster.redis_url, decode_responses=True) as redis:
        operator, _ = ApiKeys(redis).create("default")
        cluster.wait_ready(600, api_key=operator)
        began = time.monotonic()
        threads, clients = [], []
        for number, caller in enumerate(CALLERS):
            secret, _ = ApiKeys(redis).create(caller.tenant)
            client = httpx.Client(
                base_url=cluster.urls[number % len(cluster.urls)],
                headers={"Authorization": f"Bearer {secret}"},
                timeout=60,
                trust_env=False,
            )
            clients.append(client)
            arguments = (caller, client, traffic, stopping)
            threads += [
                threading.Thread(target=target, args=arguments)
                for target in (*[send_jobs] * caller.senders, follow_jobs)
            ]
        samples: list[Sample] = []
        watching = threading.Thread(
            target=lambda: samples.extend(watch(cluster, redis, traffic, began, over))
        )
        for thread in (*threads, watching):
            thread.start()
        time.sleep(minutes * 60)
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
        minutes=minutes,
        began=began,
        accepted=len(traffic.accepted),
        finished=list(traffic.finished.values()),
        answers=dict(traffic.answers),
        samples=samples,
        counted_accepted=_counted(metrics, "gridscribe_jobs_accepted_total"),
        counted_finished=_counted(metrics, "gridscribe_jobs_finished_total"),
        most_unfinished=int(LIMITS["GRIDSCRIBE_MAX_QUEUED_JOBS"]),
    )


def _counted(metrics: str, name: str) -> int:
    """The sum of a counter over its labels."""
    lines = [line for line in metrics.splitlines() if line.startswith(name)]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


def _quiet(_name: str, line: str) -> None:
    if "ERROR" in line or "Traceback" in line:
        print(line, flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--report", type=Path, default=Path("docs/reports"))
    parser.add_argument("--note", default="", help="what else to say of the machine")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridscribe-load-") as folder:
        found = run(Path(folder), arguments.minutes)
    write_report(found, arguments.report, arguments.note)


if __name__ == "__main__":
    main()
