"""What a job costs the store, how fast jobs are handed out: `python -m benchmarks.capacity`.

Figures for docs/scaling.md: memory of a job that waits and of one that ended, and the steps of
accepting, dispatching and committing one unit after another through a real server.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uuid6
from redis import Redis

from gridscribe.supervisor import Supervisor
from gridscribe.valkey import EmbeddedValkey
from shared import job_lifecycle, job_store
from shared.job_lifecycle import JobLifecycle
from shared.job_record import NewJob
from shared.job_spec import JobSpec
from shared.job_store import JobStore
from shared.queue import make_celery, publish
from shared.schemas import ImageCaption, SourceImage, StoredPage, StoredResult
from shared.settings import Settings
from shared.work_units import WorkerKind

AT_ONCE = 64
RESULT = StoredResult(
    media_type="image/png",
    extension="png",
    pages=(StoredPage(key="k" * 60, width=2670, height=2670, bytes=10**6, sha256="0" * 64),),
    manifest_key="m" * 60,
)
CAPTION = ImageCaption(text="a photo of a red fox in the snow", confidence=0.5)


def new_job(images: int) -> NewJob:
    job_id = str(uuid6.uuid7())
    stored = tuple(
        SourceImage(
            name=f"picture_{n:05d}.png",
            key=f"jobs/{job_id}/inputs/{n:05d}",
            media_type="image/png",
            width=1024,
            height=1024,
            bytes=1_500_000,
            sha256=f"{n:064d}",
        )
        for n in range(images)
    )
    return NewJob(job_id, "studio", JobSpec(use_clip=True), stored, tuple(range(images)))


def measure(settings: Settings, jobs: int, images: int) -> dict[str, float]:
    """Bytes a job, and steps a second."""
    with (
        Redis.from_url(settings.redis_url) as redis,
        job_lifecycle.connect(settings) as connection,
    ):
        redis.execute_command("FLUSHALL", "SYNC")
        lifecycle = JobLifecycle(connection, settings, "worker")
        celery = make_celery(settings)
        empty = used(redis)
        made = [new_job(images) for _ in range(jobs)]
        began = time.perf_counter()
        asyncio.run(accept(settings, made))
        accepted = time.perf_counter()
        waiting = used(redis)
        dispatched = committed = published = units = 0.0
        for kind in (WorkerKind.CAPTION, WorkerKind.COMPOSE):
            while True:
                start = time.perf_counter()
                tickets = lifecycle.dispatch(kind, AT_ONCE)
                dispatched += time.perf_counter() - start
                if not tickets:
                    break
                start = time.perf_counter()
                for ticket in tickets:
                    publish(celery, ticket)
                published += time.perf_counter() - start
                start = time.perf_counter()
                for ticket in tickets:
                    if kind is WorkerKind.CAPTION:
                        work = lifecycle.start_captions(ticket)
                        assert work is not None  # noqa: S101 # nothing cancels here
                        lifecycle.commit_captions(ticket, [CAPTION] * len(work.images))
                    else:
                        lifecycle.start_compose(ticket)
                        lifecycle.commit_sheet(ticket, RESULT, (), ())
                committed += time.perf_counter() - start
                units += len(tickets)
        # Messages are the broker's: workers have taken them by then.
        redis.delete("caption", "compose")
        return {
            "images of a job": images,
            "bytes of a job that waits": (waiting - empty) / jobs,
            "bytes of a job that ended": (used(redis) - empty) / jobs,
            "jobs accepted a second": jobs / (accepted - began),
            "units dispatched a second": units / dispatched,
            "units published a second": units / published,
            "units begun and committed a second": units / committed,
        }


async def accept(settings: Settings, jobs: list[NewJob]) -> None:
    async with job_store.connect(settings) as redis:
        store = JobStore(redis, settings)
        for job in jobs:
            await store.create(job)


def used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])


def round_trips(settings: Settings, count: int = 5000) -> float:
    """PINGs a second of one connection, one after the other: no step can be faster."""
    with Redis.from_url(settings.redis_url) as redis:
        began = time.perf_counter()
        for _ in range(count):
            redis.ping()
        return count / (time.perf_counter() - began)


@contextmanager
def store() -> Iterator[Settings]:
    """A server of its own that keeps nothing on disk, and refuses no job."""
    with tempfile.TemporaryDirectory(prefix="gridscribe-capacity-") as folder:
        valkey = EmbeddedValkey(Path(folder), persistent=False)
        supervisor = Supervisor([[valkey.command]], log=lambda _name, _line: None)
        supervisor.start()
        limit = 10**6
        try:
            yield Settings(
                redis_url=valkey.url,
                max_queued_jobs=limit,
                max_queued_jobs_per_tenant=limit,
                store_timeout_seconds=60,
            )
        finally:
            supervisor.stop()
            valkey.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    arguments = parser.parse_args()
    with store() as settings:
        for images in (4, 9, 100):
            jobs = arguments.jobs if images < 100 else arguments.jobs // 10
            for name, figure in measure(settings, jobs, images).items():
                print(f"{name:<36} {figure:>12,.0f}")  # noqa: T201


if __name__ == "__main__":
    main()
