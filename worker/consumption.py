"""Does this worker still take messages? Its process may live while its consumer does not: a broker
connection that died without a word is one that nobody reads from again."""

import logging
import os
import signal
import threading
from collections.abc import Callable

from celery import Celery
from celery.worker import state

logger = logging.getLogger(__name__)

_TO_LEAVE_SECONDS = 15.0
"""From SIGTERM to the end of a worker that does not even stop."""


class Consumption:
    """Asked every beat; a worker that takes nothing for `patience` seconds is stuck, though its
    queue holds messages and it has room."""

    def __init__(
        self,
        waiting: Callable[[], int],
        capacity: int,
        patience: float,
        *,
        taken: Callable[[], int] | None = None,
        in_work: Callable[[], int] | None = None,
    ) -> None:
        """`waiting` counts the messages in the queue, and may raise what a broker raises."""
        self._waiting = waiting
        self._capacity = capacity
        self._patience = patience
        self._taken = taken or (lambda: sum(state.total_count.values()))
        self._in_work = in_work or (lambda: len(state.reserved_requests))
        self._last_taken = -1
        self._idle_since: float | None = None

    def is_stuck(self, now: float) -> bool:
        """`now` is in seconds of any clock that goes forward evenly."""
        taken = self._taken()
        try:
            is_idle = self._in_work() < self._capacity and self._waiting() > 0
        except Exception as error:  # noqa: BLE001 # each broker's client raises errors of its own
            logger.debug("cannot look into the queue: %s", error)
            is_idle = False
        if taken != self._last_taken or not is_idle:
            self._last_taken, self._idle_since = taken, None
        elif self._idle_since is None:
            self._idle_since = now
        return self._idle_since is not None and now - self._idle_since >= self._patience


def messages_waiting(app: Celery, queue: str) -> int:
    """In the broker, whichever it is, for workers of this kind; 0 where there is no such queue.

    Over a connection of its own, made for this one question: the others may be what is broken.
    """
    with app.connection_for_read(transport_options={"socket_timeout": 5}) as connection:
        channel = connection.default_channel
        try:
            declared = channel.queue_declare(queue, passive=True)  # type: ignore[attr-defined]  # in all transports
        except connection.channel_errors:
            return 0
        return int(declared.message_count)


def leave() -> None:
    """End this process, for its supervisor to start it again; what is in work is given back."""
    logger.critical("this worker takes no messages any more; it ends, to be started again")
    last_resort = threading.Timer(_TO_LEAVE_SECONDS, os._exit, [1])
    last_resort.daemon = True
    last_resort.start()
    os.kill(os.getpid(), signal.SIGTERM)
