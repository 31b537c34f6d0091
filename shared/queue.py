"""The Celery client: it only wakes workers; what is to be done stands in the store."""

from typing import Any

from celery import Celery
from kombu import Connection

from shared.settings import Settings
from shared.work_units import Ticket, WorkerKind

MESSAGE_VERSION = 1

TASK_NAMES = {
    WorkerKind.CAPTION: "gridscribe.caption",
    WorkerKind.COMPOSE: "gridscribe.compose",
}


class _EagerConnection(Connection):
    """Uses a broker that is back soon: Celery would come to wait half a minute between tries."""

    def _ensure_connection(self, *args: Any, **options: Any) -> Any:
        pauses = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 3}
        return super()._ensure_connection(*args, **{**options, **pauses})


def make_celery(settings: Settings, answer_seconds: float | None = None) -> Celery:
    """A Celery application, for publishing and for working; each setting answers a known fault.

    One that publishes waits `answer_seconds` for a broker's answer, so that a connection that died
    without a word holds it up no longer; one that consumes waits for messages and sets none.
    """
    app = Celery("gridscribe", broker=settings.celery_broker_url, set_as_current=False)
    app.amqp.Connection = _EagerConnection
    app.conf.update(
        # The store knows what is done, so results would only fill Redis.
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        # A worker that dies leaves its message; the lease makes a second delivery harmless.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # Running chunks outlive a lost broker connection: their commits go through the store.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 600,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 2,
            "health_check_interval": 10,
            **({} if answer_seconds is None else {"socket_timeout": answer_seconds}),
        },
        worker_hijack_root_logger=False,
        # Nobody listens to Celery's own events and remote control.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
    )
    return app


def publish(app: Celery, ticket: Ticket) -> None:
    """Wake a worker of the ticket's kind. One that gets lost is published again by its lease."""
    app.send_task(
        TASK_NAMES[ticket.kind],
        kwargs={
            "version": MESSAGE_VERSION,
            "job_id": ticket.job_id,
            "unit": ticket.unit,
            "attempt": ticket.attempt,
        },
        queue=ticket.kind.value,
        retry=False,
    )
