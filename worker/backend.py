"""What a unit of work needs of its process, made on first use: a forked child makes its own."""

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cache

from shared import job_lifecycle
from shared.job_lifecycle import JobLifecycle
from shared.object_storage import ObjectStorage
from shared.settings import Settings, get_settings
from worker.lease import LeaseKeeper


@dataclass(frozen=True, slots=True)
class Backend:
    settings: Settings
    lifecycle: JobLifecycle
    storage: ObjectStorage
    leases: LeaseKeeper


@cache
def get_backend() -> Backend:
    """This process's connections and its lease keeper."""
    settings = get_settings()
    lifecycle = connect_lifecycle(settings)
    return Backend(
        settings,
        lifecycle,
        ObjectStorage(settings.effective_storage_url),
        LeaseKeeper(lifecycle, settings.beat_seconds),
    )


def connect_lifecycle(settings: Settings) -> JobLifecycle:
    """The store, under an owner name that no other process ever had."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    return JobLifecycle(job_lifecycle.connect(settings), settings, owner)
