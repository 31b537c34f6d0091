"""Removes what nobody needs any more: expired jobs and uploads, and files without a record."""

import logging
import time
import uuid
from datetime import UTC, datetime, timedelta

from obstore.exceptions import BaseError as StorageError

from shared.job_lifecycle import JobLifecycle
from shared.object_storage import ObjectStorage, job_prefix

logger = logging.getLogger(__name__)

EXPIRY_EVERY = 30.0
ORPHANS_EVERY = 3600.0
ORPHAN_AGE = timedelta(hours=1)
"""Younger files without a record may belong to a submission that is still being accepted."""


class Sweeper:
    """Files first, record last: a sweep that dies in between is simply done again."""

    def __init__(self, lifecycle: JobLifecycle, storage: ObjectStorage) -> None:
        self._lifecycle = lifecycle
        self._storage = storage
        self._next_expiry = 0.0
        self._next_orphans = 0.0

    def sweep_when_due(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._next_expiry:
                self._next_expiry = now + EXPIRY_EVERY
                self.sweep_expired()
            if now >= self._next_orphans:
                self._next_orphans = now + ORPHANS_EVERY
                self.sweep_orphans()
        except (OSError, StorageError) as error:
            logger.warning("storage not reachable, sweeping later: %s", error)

    def sweep_expired(self) -> int:
        """Remove jobs and uploads whose time is over; returns how many."""
        jobs = self._lifecycle.expired_jobs()
        for job_id in jobs:
            self._storage.delete_prefix(job_prefix(job_id))
            self._lifecycle.forget(job_id)
        uploads = self._lifecycle.expired_uploads()
        for key in uploads:
            self._storage.delete(key)
            self._lifecycle.forget_upload(key)
        return len(jobs) + len(uploads)

    def sweep_orphans(self) -> int:
        """Remove files that a dead process left without a record; returns the number of jobs."""
        old = [job_id for job_id in self._storage.list_folders("jobs") if _is_old(job_id)]
        known = set(self._lifecycle.known(old))
        orphans = [job_id for job_id in old if job_id not in known]
        for job_id in orphans:
            removed = self._storage.delete_prefix(job_prefix(job_id))
            logger.info("removed %d files of job %s, which has no record", removed, job_id)
        return len(orphans)


def _is_old(job_id: str) -> bool:
    """Whether the time in a UUIDv7 (RFC 9562, section 5.7) is past `ORPHAN_AGE`."""
    milliseconds = uuid.UUID(job_id).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, UTC) < datetime.now(UTC) - ORPHAN_AGE
