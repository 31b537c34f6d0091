"""What the sweeper removes, and what it leaves alone, on a real disk and in a real store."""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from redis import Redis
from uuid6 import uuid7

from shared import job_lifecycle
from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from shared.object_storage import ObjectStorage, input_key, output_key, upload_key
from shared.settings import Settings
from tests.fixtures.waiting import PATIENCE, wait_until
from worker.sweeper import ORPHAN_AGE, ORPHAN_UPLOAD_AGE, Sweeper

NEXT_SWEEP = timedelta(minutes=59)


@dataclass
class Place:
    """A store and a disk, filled by hand."""

    redis: Redis
    storage: ObjectStorage
    root: Path
    sweeper: Sweeper

    def job(self, **record: str) -> str:
        """The files of a job, and its record where there is one."""
        job_id = str(uuid7())
        self.storage.put_bytes(input_key(job_id, 0), b"picture")
        self.storage.put_bytes(output_key(job_id, 1, "page-1.png"), b"sheet")
        for name, value in ({"tenant": "default"} | record).items() if record else ():
            self.redis.hset(f"{PREFIX}job:{job_id}", name, value)
        return job_id

    def upload(self, ends: float | None = None) -> str:
        key = upload_key("default", str(uuid7()))
        self.storage.put_bytes(key, b"picture")
        if ends is not None:
            self.redis.zadd(f"{PREFIX}uploads", {key: ends})
        return key

    def half_written(self, key: str) -> Path:
        """As the local store leaves it when its process is killed."""
        path = self.root / f"{key}#1"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pict")
        return path

    def let_pass(self, passed: timedelta) -> None:
        """As if whatever was sighted had been sighted so much earlier."""
        names = self.redis.zrange(f"{PREFIX}orphans", 0, -1)
        for name in cast("list[str]", names):
            self.redis.zincrby(f"{PREFIX}orphans", -passed.total_seconds() * 1000, name)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}

    def jobs(self) -> set[str]:
        return {name.split("/")[1] for name in self.files() if name.startswith("jobs/")}


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    storage = ObjectStorage(settings.effective_storage_url)
    with (
        job_lifecycle.connect(settings) as connection,
        Redis.from_url(settings.redis_url, decode_responses=True) as redis,
    ):
        lifecycle = JobLifecycle(connection, settings, "sweeper")
        root = settings.data_dir / "storage"
        yield Place(redis, storage, root, Sweeper(lifecycle, storage))


def test_an_expired_job_goes_with_every_byte_and_others_stay(place: Place) -> None:
    expired, running = place.job(status="failed"), place.job(status="running")
    place.half_written(output_key(expired, 2, "page-1.png"))
    place.redis.zadd(f"{PREFIX}expiry", {expired: 0, place.job(status="failed"): 1e14})
    assert place.sweeper.sweep_expired() == 1
    assert expired not in place.jobs()
    assert running in place.jobs()
    assert len(place.jobs()) == 2
    assert not (place.root / "jobs" / expired).exists()
    assert place.redis.hgetall(f"{PREFIX}job:{expired}") == {
        "id": expired,
        "tenant": "default",
        "status": "expired",
    }
    assert place.redis.ttl(f"{PREFIX}job:{expired}") > 0


def test_an_expired_upload_goes_and_others_stay(place: Place) -> None:
    place.upload(ends=0)
    kept = place.upload(ends=1e14)
    assert place.sweeper.sweep_expired() == 1
    assert place.files() == {kept}
    assert place.redis.zrange(f"{PREFIX}uploads", 0, -1) == [kept]


def test_a_sweep_that_died_before_the_record_is_done_again(place: Place) -> None:
    job_id = place.job(status="failed")
    place.redis.zadd(f"{PREFIX}expired", {job_id: 0})
    place.storage.delete_prefix(f"jobs/{job_id}")
    assert place.sweeper.sweep_expired() == 1
    assert place.redis.zcard(f"{PREFIX}expired") == 0


def test_more_than_a_batch_is_swept_without_a_pause(place: Place) -> None:
    for _ in range(150):
        place.redis.zadd(f"{PREFIX}expiry", {place.job(status="failed"): 0})
    stopping = threading.Event()
    thread = threading.Thread(target=place.sweeper.run, args=(stopping,))
    thread.start()
    try:
        queues = (f"{PREFIX}expired", f"{PREFIX}expiry")
        wait_until(lambda: not any(map(place.redis.zcard, queues)))
    finally:
        stopping.set()
        thread.join(PATIENCE)
    assert place.files() == set()


def test_files_that_cannot_be_removed_keep_no_others_from_it(place: Place) -> None:
    stuck, free = place.job(status="failed"), place.job(status="failed")
    folder = place.root / "jobs" / stuck
    shutil.rmtree(folder)
    folder.write_bytes(b"no folder: not even root can empty it")
    place.redis.zadd(f"{PREFIX}expiry", {stuck: 0, free: 1})
    assert place.sweeper.sweep_expired() == 1
    assert not (place.root / "jobs" / free).exists()
    assert place.redis.zrange(f"{PREFIX}expired", 0, -1) == [stuck], "tried again"


def test_files_without_a_record_go_once_no_submission_can_be_making_them(place: Place) -> None:
    orphan, known, gone = place.job(), place.job(status="running"), place.job(status="expired")
    place.half_written(input_key(orphan, 1))
    (place.root / "jobs" / "lost+found").mkdir()
    assert place.sweeper.sweep_orphans() == 0
    place.let_pass(NEXT_SWEEP)
    young = place.job()
    assert place.sweeper.sweep_orphans() == 0
    place.let_pass(ORPHAN_AGE - NEXT_SWEEP)
    assert place.sweeper.sweep_orphans() == 2
    assert place.jobs() == {young, known}
    assert not {orphan, gone} & {path.name for path in (place.root / "jobs").iterdir()}
    assert place.redis.zrange(f"{PREFIX}orphans", 0, -1) == [young]


def test_files_whose_record_came_late_stay(place: Place) -> None:
    job_id = place.job()
    place.sweeper.sweep_orphans()
    place.let_pass(NEXT_SWEEP)
    place.redis.hset(f"{PREFIX}job:{job_id}", mapping={"tenant": "default", "status": "queued"})
    place.let_pass(ORPHAN_AGE)
    assert place.sweeper.sweep_orphans() == 0
    assert place.jobs() == {job_id}
    place.let_pass(timedelta(days=8))
    place.job()
    place.sweeper.sweep_orphans()
    assert job_id not in place.redis.zrange(f"{PREFIX}orphans", 0, -1), "no sighting stays for ever"


@pytest.mark.parametrize("clock", [timedelta(hours=-1), timedelta(days=-400), timedelta(hours=1)])
def test_no_clock_of_a_host_makes_files_look_old(place: Place, clock: timedelta) -> None:
    """The host that gave the name, or that the file lies on, is wrong about the time."""
    then = time.time() + clock.total_seconds()
    milliseconds = int(then * 1000)
    job_id = uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | uuid.uuid4().int >> 80)
    place.storage.put_bytes(input_key(str(job_id), 0), b"picture")
    os.utime(place.half_written(upload_key("default", str(job_id))), (then, then))
    before = place.files()
    assert place.sweeper.sweep_orphans() == 0
    assert place.files() == before


def test_uploads_without_a_record_go_once_nobody_can_be_making_them(place: Place) -> None:
    orphan, known = place.upload(), place.upload(ends=1e14)
    broken_off = place.half_written(upload_key("default", str(uuid7())))
    assert place.sweeper.sweep_orphans() == 0
    place.let_pass(ORPHAN_UPLOAD_AGE - ORPHAN_AGE)
    writing = place.half_written(upload_key("default", str(uuid7())))
    young = place.upload()
    assert place.sweeper.sweep_orphans() == 0
    assert {orphan, str(broken_off.relative_to(place.root))} < place.files()
    place.let_pass(ORPHAN_AGE)
    assert place.sweeper.sweep_orphans() == 2
    assert place.files() == {young, known, str(writing.relative_to(place.root))}
