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

import pytest
from redis import Redis

from shared import job_lifecycle
from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from shared.object_storage import ObjectStorage, input_key, output_key, upload_key
from shared.settings import Settings
from worker.sweeper import ORPHAN_AGE, ORPHAN_UPLOAD_AGE, Sweeper

EVER = timedelta(days=400)


def uuid7(age: timedelta) -> str:
    milliseconds = int((time.time() - age.total_seconds()) * 1000)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | uuid.uuid4().int >> 80))


@dataclass
class Place:
    """A store and a disk, filled by hand."""

    redis: Redis
    storage: ObjectStorage
    root: Path
    sweeper: Sweeper

    def job(self, age: timedelta = EVER, **record: str) -> str:
        """The files of a job, and its record where there is one."""
        job_id = uuid7(age)
        self.storage.put_bytes(input_key(job_id, 0), b"picture")
        self.storage.put_bytes(output_key(job_id, 1, "page-1.png"), b"sheet")
        for name, value in ({"tenant": "default"} | record).items() if record else ():
            self.redis.hset(f"{PREFIX}job:{job_id}", name, value)
        return job_id

    def upload(self, age: timedelta, ends: float | None) -> str:
        key = upload_key("default", uuid7(age))
        self.storage.put_bytes(key, b"picture")
        if ends is not None:
            self.redis.zadd(f"{PREFIX}uploads", {key: ends})
        return key

    def half_written(self, key: str, age: timedelta) -> Path:
        """As the local store leaves it when its process is killed."""
        path = self.root / f"{key}#1"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pict")
        then = time.time() - age.total_seconds()
        os.utime(path, (then, then))
        return path

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
    place.half_written(output_key(expired, 2, "page-1.png"), EVER)
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
    place.upload(EVER, ends=0)
    kept = place.upload(EVER, ends=1e14)
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
        deadline = time.monotonic() + 20
        while place.redis.zcard(f"{PREFIX}expired") or place.redis.zcard(f"{PREFIX}expiry"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stopping.set()
        thread.join(10)
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
    orphan, young = place.job(), place.job(timedelta(minutes=1))
    known, gone = place.job(status="running"), place.job(status="expired")
    place.half_written(input_key(place.job(2 * ORPHAN_AGE), 1), EVER)
    (place.root / "jobs" / "lost+found").mkdir()
    assert place.sweeper.sweep_orphans() == 3
    assert place.jobs() == {young, known}
    assert not {orphan, gone} & {path.name for path in (place.root / "jobs").iterdir()}


def test_uploads_without_a_record_go_once_nobody_can_be_making_them(place: Place) -> None:
    place.upload(2 * ORPHAN_UPLOAD_AGE, ends=None)
    young, known = place.upload(ORPHAN_AGE, ends=None), place.upload(EVER, ends=1e14)
    place.half_written(upload_key("default", uuid7(EVER)), EVER)
    writing = place.half_written(upload_key("default", uuid7(ORPHAN_AGE)), ORPHAN_AGE)
    assert place.sweeper.sweep_orphans() == 1
    assert place.files() == {young, known, str(writing.relative_to(place.root))}
