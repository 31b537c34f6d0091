"""Keeps the leases of the units this process works on."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from shared.job_lifecycle import Hold, JobLifecycle
from shared.work_units import Ticket
from worker.stop_sign import stop_sign

logger = logging.getLogger(__name__)


class Lease:
    """One held unit. The worker asks `ended` between two steps and reports how far it is."""

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.hold = Hold.HELD
        self.done = 0

    def report(self, done: int) -> None:
        """Pictures finished so far; the next beat carries it to the store."""
        self.done = done

    def ended(self) -> bool:
        """True once the job is canceled, another worker may hold the unit, or this process is to
        go: stop soon."""
        return self.hold is not Hold.HELD or stop_sign.is_up()


class LeaseKeeper:
    """One thread a process that beats for every unit in work."""

    def __init__(self, lifecycle: JobLifecycle, beat_seconds: float) -> None:
        self._lifecycle = lifecycle
        self._beat_seconds = beat_seconds
        self._leases: dict[Ticket, Lease] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._beat_forever, name="lease-keeper", daemon=True).start()

    @contextmanager
    def keep(self, ticket: Ticket) -> Iterator[Lease]:
        """Beat for a begun unit as long as the block runs."""
        lease = Lease(ticket)
        with self._lock:
            self._leases[ticket] = lease
        try:
            yield lease
        finally:
            with self._lock:
                del self._leases[ticket]

    def _beat_forever(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._beat_seconds):
            with self._lock:
                leases = [lease for lease in self._leases.values() if lease.hold is Hold.HELD]
            for lease in leases:
                try:
                    lease.hold = self._lifecycle.beat(lease.ticket, lease.done)
                except RedisError as error:
                    # The lease may run out; the commit then finds out.
                    logger.warning("cannot extend a lease: %s", error)
