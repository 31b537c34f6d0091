"""Removes what nobody needs any more: jobs that expired or were deleted, expired uploads, and files
without a record."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice

from obstore.exceptions import BaseError as StorageError
from redis.exceptions import RedisError

from shared.job_lifecycle import JobLifecycle
from shared.object_storage import ObjectStorage, job_prefix

logger = logging.getLogger(__name__)

EXPIRY_EVERY = 5.0
ORPHANS_EVERY = 3600.0
ORPHAN_AGE = timedelta(hours=1)
"""From the first sight of files without a record to their removal: before, they may belong to a
submission that is still being accepted."""
ORPHAN_UPLOAD_AGE = timedelta(days=1)
"""The same of a file under `uploads`, whose sending may take longer."""
_BATCH = 100

_OUTAGES = (OSError, RedisError, StorageError)


class Sweeper:
    """Files first, record last: a sweep that dies in between is simply done again."""

    def __init__(self, lifecycle: JobLifecycle, storage: ObjectStorage) -> None:
        self._lifecycle = lifecycle
        self._storage = storage

    def run(self, stopping: threading.Event) -> None:
        """Sweep until `stopping` is set; an outage of store or storage only delays it."""
        next_orphans = 0.0
        while not stopping.is_set():
            removed = 0
            try:
                removed = self.sweep_expired()
                if time.monotonic() >= next_orphans:
                    next_orphans = time.monotonic() + ORPHANS_EVERY
                    self.sweep_orphans()
            except _OUTAGES as error:
                logger.warning("store or storage not reachable, sweeping later: %s", error)
            except Exception:
                logger.exception("sweeping failed, trying again later")
            if removed < _BATCH:
                stopping.wait(EXPIRY_EVERY)

    def sweep_expired(self) -> int:
        """Remove jobs and uploads whose time is over, up to a batch of each; returns how many."""
        removed = 0
        for job_id in self._lifecycle.expired_jobs(_BATCH):
            removed += self._removed(job_id, self._remove_job)
        for key in self._lifecycle.expired_uploads(_BATCH):
            removed += self._removed(key, self._remove_upload)
        return removed

    def sweep_orphans(self) -> int:
        """Remove files that a dead process left without a record, once they have been seen for so
        long that no living one is about to write it; returns how many jobs and uploads that was."""
        lifecycle, storage = self._lifecycle, self._storage
        jobs = filter(_is_id, storage.list_folders("jobs"))
        uploads = (key for key in storage.list_keys("uploads") if _is_id(key.rpartition("/")[2]))
        half_written = storage.list_half_written("uploads")
        return (
            self._sweep_unknown(jobs, lifecycle.known, ORPHAN_AGE, self._remove_orphan)
            + self._sweep_unknown(
                uploads, lifecycle.known_uploads, ORPHAN_UPLOAD_AGE, storage.delete
            )
            + self._sweep_unknown(
                half_written, lambda _: (), ORPHAN_UPLOAD_AGE, storage.delete_half_written
            )
        )

    def _sweep_unknown(
        self,
        names: Iterable[str],
        known: Callable[[Sequence[str]], Iterable[str]],
        age: timedelta,
        remove: Callable[[str], None],
    ) -> int:
        removed = 0
        for batch in _batches(names):
            kept = set(known(batch))
            unknown = [name for name in batch if name not in kept]
            for name in self._lifecycle.sight_orphans(unknown, age) if unknown else ():
                if self._removed(name, remove):
                    self._lifecycle.forget_orphan(name)
                    removed += 1
        return removed

    def _remove_job(self, job_id: str) -> None:
        self._storage.delete_prefix(job_prefix(job_id))
        self._lifecycle.forget(job_id)

    def _remove_upload(self, key: str) -> None:
        self._storage.delete(key)
        self._lifecycle.forget_upload(key)

    def _remove_orphan(self, job_id: str) -> None:
        count = self._storage.delete_prefix(job_prefix(job_id))
        logger.info("removed %d files of job %s, which has no record", count, job_id)

    def _removed(self, name: str, remove: Callable[[str], None]) -> bool:
        """One that cannot be removed does not keep the others from it; it is tried again."""
        try:
            remove(name)
        except (OSError, StorageError) as error:
            logger.warning("cannot remove the files of %s, trying again later: %s", name, error)
            return False
        return True


def _is_id(name: str) -> bool:
    """Whether we may have given this name; others are not ours to remove."""
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
