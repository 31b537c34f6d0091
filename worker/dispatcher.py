"""Publishes due units to the workers and clears away what has expired.

Run it with `python -m worker.dispatcher`. Any number may run at once: every decision is taken by a
script in the store.
"""

import logging
import signal
import threading
import time

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared.failpoints import failpoint
from shared.job_lifecycle import JobLifecycle
from shared.logging import configure_logging
from shared.object_storage import ObjectStorage
from shared.queue import make_celery, publish
from shared.settings import Settings, get_settings
from shared.work_units import WorkerKind, WorkerStamp
from worker.backend import connect_lifecycle
from worker.sweeper import Sweeper
from worker.tracing import trace_messages

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How late a lease that ran out may be noticed; new work wakes the dispatcher at once."""

BROKER_ANSWER_SECONDS = 5.0

RESERVED_SHARE = 4
"""One in so many places to caption is kept for tenants who have nothing in work."""


class Dispatcher:
    def __init__(self, lifecycle: JobLifecycle, celery: Celery, settings: Settings) -> None:
        self._lifecycle = lifecycle
        self._celery = celery
        self._settings = settings
        self._next_stamp = 0.0

    def run_once(self) -> int:
        """Cancel what is overdue and publish what is due; returns how many units were published."""
        lifecycle = self._lifecycle
        for job_id in lifecycle.cancel_overdue():
            logger.info("canceled job %s: its time was over", job_id)
        workers = lifecycle.live_workers()
        published = 0
        for kind in (WorkerKind.CAPTION, WorkerKind.COMPOSE):
            # As many as can be in work at once and no more: what waits, waits in the store, where
            # turns are fair and a cancel is instant.
            capacity = sum(stamp.capacity for stamp in workers[kind])
            room = capacity - lifecycle.leased(kind)
            # A captioning worker's threads wait for its model, and can do so for anybody; a
            # composing one's are its cores, and none shall be idle.
            reserved = capacity // RESERVED_SHARE if kind is WorkerKind.CAPTION else 0
            for ticket in lifecycle.dispatch(kind, room, reserved):
                failpoint("dispatch.before_publish", kind)
                try:
                    publish(self._celery, ticket)
                except OperationalError as error:
                    logger.warning("broker not reachable, %s comes back: %s", ticket, error)
                published += 1
        return published

    def stamp(self) -> None:
        """Say each beat that this process lives."""
        if time.monotonic() >= self._next_stamp:
            self._next_stamp = time.monotonic() + self._settings.beat_seconds
            self._lifecycle.stamp(
                WorkerStamp(owner=self._lifecycle.owner, kind=WorkerKind.DISPATCHER, capacity=0)
            )


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = get_settings()
    configure_logging("dispatcher", settings.log_level, settings.log_format)
    trace_messages("dispatcher")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    lifecycle = connect_lifecycle(settings)
    celery = make_celery(settings, BROKER_ANSWER_SECONDS)
    dispatcher = Dispatcher(lifecycle, celery, settings)
    sweeper = Sweeper(lifecycle, ObjectStorage(settings.effective_storage_url))
    # In a thread of its own: removing thousands of files must not hold up the work.
    threading.Thread(target=sweeper.run, args=(stopping,), name="sweeper", daemon=True).start()
    logger.info("dispatcher ready")
    while not stopping.is_set():
        try:
            dispatcher.stamp()
            dispatcher.run_once()
            lifecycle.wait_for_work(POLL_SECONDS)
        except RedisError as error:
            logger.warning("store not reachable, trying again: %s", error)
            stopping.wait(POLL_SECONDS)


if __name__ == "__main__":
    main()
