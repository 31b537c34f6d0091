"""The service as it captions: a store, a dispatcher and workers, each a process of its own.

Jobs are put into the store as the API does it once files are there, so that uploads, which
`benchmarks.http` measures, take nothing from the cores.
"""

import asyncio
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uuid6
from redis import Redis

from gridscribe.supervisor import Command, Supervisor
from gridscribe.valkey import EmbeddedValkey
from shared import job_lifecycle, job_store
from shared.job_lifecycle import JobLifecycle
from shared.job_record import NewJob
from shared.job_spec import JobSpec
from shared.job_store import JobStore
from shared.keyspace import PREFIX
from shared.schemas import SourceImage
from shared.settings import Settings
from shared.work_units import WorkerKind

PATIENCE = 300.0
POLL = 0.1


@dataclass(frozen=True, slots=True)
class Times:
    """Of one job, in seconds of the store's clock."""

    queued: float
    captioned: float
    finished: float | None
    """None where nobody composes."""


class CaptionService:
    """Made by `running`."""

    def __init__(self, settings: Settings, storage: Path, supervisor: Supervisor) -> None:
        self._settings = settings
        self._storage = storage
        self._supervisor = supervisor
        self._redis = Redis.from_url(settings.redis_url, decode_responses=True)

    def caption_memory(self) -> int:
        """Bytes of the captioning worker in memory now, and of the processes that see for it; what
        they share counts once."""
        rows = [
            row
            for process in _tree(self._supervisor.pids["caption"])
            for row in (process / "smaps_rollup").read_text().splitlines()
        ]
        return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))

    def caption_cpu(self) -> float:
        """Seconds of processor time that the captioning worker and those processes have spent."""
        stats = [
            (process / "stat").read_text() for process in _tree(self._supervisor.pids["caption"])
        ]
        spent = [stat.rpartition(")")[2].split()[11:13] for stat in stats]
        return sum(int(user) + int(system) for user, system in spent) / os.sysconf("SC_CLK_TCK")

    def submit(self, jobs: Sequence[Sequence[Path]], spec: JobSpec) -> list[str]:
        """A job for each row of pictures; its id. Every picture counts as one never seen."""
        made = [self._new_job(pictures, spec) for pictures in jobs]
        asyncio.run(self._create(made))
        return [job.id for job in made]

    def wait(self, job: str, *, composed: bool = False) -> Times:
        """Once it is captioned, or composed too."""
        last = "finished_at" if composed else "captioned_at"
        deadline = time.monotonic() + PATIENCE
        while True:
            status, queued, captioned, finished = cast(
                "list[str | None]",
                self._redis.hmget(
                    f"{PREFIX}job:{job}", "status", "queued_at", "captioned_at", "finished_at"
                ),
            )
            if (finished if composed else captioned) is not None:
                ended = float(finished) / 1000 if finished else None
                return Times(float(queued or 0) / 1000, float(captioned or 0) / 1000, ended)
            if status == "failed" or time.monotonic() > deadline:
                raise RuntimeError(f"job {job} is {status} and has no {last}")
            time.sleep(POLL)

    def captions_done(self, job: str) -> int:
        return int(self._redis.hget(f"{PREFIX}job:{job}", "captions_done") or 0)

    async def _create(self, jobs: Sequence[NewJob]) -> None:
        redis = job_store.connect(self._settings)
        try:
            store = JobStore(redis, self._settings)
            for job in jobs:
                await store.create(job)
        finally:
            await redis.aclose()

    def _new_job(self, pictures: Sequence[Path], spec: JobSpec) -> NewJob:
        images = tuple(
            SourceImage(
                name=f"{number:04}{path.suffix}",
                key=str(path.relative_to(self._storage)),
                media_type="image/png" if path.suffix == ".png" else "image/jpeg",
                width=1,
                height=1,
                bytes=path.stat().st_size,
                sha256=uuid.uuid4().hex,  # or the worker would remember it
            )
            for number, path in enumerate(pictures)
        )
        return NewJob(str(uuid6.uuid7()), "default", spec, images, tuple(range(len(images))))


@contextmanager
def running(
    data: Path, pictures: Path, *, composes: bool, environment: Mapping[str, str]
) -> Iterator[CaptionService]:
    """A warm service whose storage is the folder `pictures`; `environment` is its settings."""
    folder = data / f"service-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    valkey = EmbeddedValkey(folder / "valkey", persistent=False)
    settings = {
        "GRIDSCRIBE_REDIS_URL": valkey.url,
        "GRIDSCRIBE_DATA_DIR": str(folder),
        "GRIDSCRIBE_STORAGE_URL": pictures.resolve().as_uri(),
        "GRIDSCRIBE_CACHE_DIR": str((data / "cache").resolve()),
        "GRIDSCRIBE_LOG_LEVEL": "WARNING",
        **environment,
    }
    children = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONWARNINGS": "ignore",
        **settings,
    }
    groups = [
        [valkey.command],
        [
            Command("dispatcher", (sys.executable, "-m", "worker.dispatcher"), children),
            _worker("caption", children, "--pool=threads", "--concurrency=32"),
            *([_worker("compose", children, "--concurrency=2")] if composes else []),
        ],
    ]
    supervisor = Supervisor(groups, log=_tell_trouble)
    read = Settings(
        redis_url=valkey.url, max_queued_jobs_per_tenant=10_000, chunk_size=_chunk_size(settings)
    )
    try:
        supervisor.start()
        wanted = {WorkerKind.CAPTION} | ({WorkerKind.COMPOSE} if composes else set())
        _await_workers(read, wanted)
        yield CaptionService(read, pictures, supervisor)
    finally:
        supervisor.stop()
        valkey.close()
        shutil.rmtree(folder, ignore_errors=True)


def _tell_trouble(name: str, line: str) -> None:
    if " WARNING " in line or " ERROR " in line or "Traceback" in line:
        print(f"{name} | {line}", flush=True)  # noqa: T201 # or nobody would hear of it


def _chunk_size(environment: Mapping[str, str]) -> int:
    default = Settings.model_fields["chunk_size"].default
    return int(environment.get("GRIDSCRIBE_CHUNK_SIZE", default))


def _worker(queue: str, environment: Mapping[str, str], *options: str) -> Command:
    arguments = ("-m", "celery", "--quiet", "--app=worker.app", "worker", f"--queues={queue}")
    quiet = (f"--hostname={queue}@%h", "--without-gossip", "--without-mingle", "--loglevel=WARNING")
    return Command(queue, (sys.executable, *arguments, *quiet, *options), environment)


def _tree(pid: int) -> list[Path]:
    """A process and its descendants, each as its folder in /proc."""
    process = Path(f"/proc/{pid}")
    children = (process / "task" / str(pid) / "children").read_text().split()
    return [process, *(found for child in children for found in _tree(int(child)))]


def _await_workers(settings: Settings, wanted: set[WorkerKind]) -> None:
    lifecycle = JobLifecycle(job_lifecycle.connect(settings), settings, "benchmark")
    deadline = time.monotonic() + PATIENCE
    while not all(lifecycle.live_workers()[kind] for kind in wanted):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no {' and '.join(sorted(wanted))} worker after {PATIENCE:g} s")
        time.sleep(0.2)
