"""What a message of the queue asks for; those that ask for nothing that can be done are counted.

A dropped message costs nothing: what it should have woken a worker for is leased again.
"""

import logging
from typing import Any

from celery import signals
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.counters import process_counters
from shared.queue import MESSAGE_VERSION
from shared.work_units import Ticket
from worker.backend import Backend

logger = logging.getLogger(__name__)


class _Message(BaseModel):
    """As `shared.queue.publish` makes it; later versions may bring more."""

    model_config = ConfigDict(extra="ignore", strict=True)

    version: int
    job_id: str
    unit: str
    attempt: int


def ticket_of(backend: Backend, content: object) -> Ticket | None:
    """None for a message of a newer version, which a newer worker may get when it is sent again,
    and for one that is none of ours."""
    try:
        message = _Message.model_validate(content)
    except ValidationError as error:
        logger.warning("dropped a malformed message: %s", error)
        backend.lifecycle.count_dropped("malformed")
        return None
    if message.version > MESSAGE_VERSION:
        logger.warning(
            "dropped a message of version %d, for this worker knows up to %d: upgrade the workers"
            " before the dispatcher",
            message.version,
            MESSAGE_VERSION,
        )
        backend.lifecycle.count_dropped("newer_version")
        return None
    return Ticket(message.job_id, message.unit, message.attempt)


def drop_stale(backend: Backend, ticket: Ticket) -> None:
    """A copy of a message that was begun already, or one of an attempt that is over."""
    logger.info("dropped a stale message: %s", ticket)
    backend.lifecycle.count_dropped("stale")


@signals.task_unknown.connect
@signals.task_rejected.connect
def _on_foreign_message(**_: Any) -> None:
    # In the parent of a pool, which must open no connections that its children would inherit.
    process_counters.count("messages_dropped", "unknown")
