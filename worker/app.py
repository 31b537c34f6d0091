"""The Celery worker: `celery -A worker.app worker -Q caption -P threads`, or `-Q compose`.

One code base for both kinds; the queue a process consumes says which it is.
"""

import gc
import logging
import threading
import time
from functools import partial
from typing import Any

from celery import signals
from redis.exceptions import RedisError

from shared.counters import process_counters
from shared.job_lifecycle import JobLifecycle
from shared.logging import configure_logging
from shared.queue import make_celery
from shared.settings import get_settings
from shared.work_units import WorkerKind, WorkerStamp
from worker.backend import connect_lifecycle
from worker.consumption import Consumption, leave, messages_waiting
from worker.pipeline.decoding_memory import give_back_large_blocks
from worker.stop_sign import stop_sign
from worker.tasks import register_tasks
from worker.tracing import trace_messages

logger = logging.getLogger(__name__)

# `celery -A` takes an application from a module, so this one must be made on import.
app = make_celery(get_settings())
register_tasks(app)


def _kind_of(worker: Any) -> WorkerKind:
    queues = set(worker.app.amqp.queues.consume_from)
    for kind in (WorkerKind.CAPTION, WorkerKind.COMPOSE):
        if kind.value in queues:
            return kind
    raise SystemExit("start the worker with -Q caption or -Q compose")


def _configure_logging(process: str) -> None:
    settings = get_settings()
    configure_logging(process, settings.log_level, settings.log_format)


@signals.setup_logging.connect
def _on_setup_logging(**_: object) -> None:
    _configure_logging("worker")


@signals.worker_init.connect
def _on_worker_init(sender: Any, **_: object) -> None:
    """Load the model before the first message is taken: consumption waits for this handler."""
    kind = _kind_of(sender)
    _configure_logging(kind)
    trace_messages(kind)
    if kind is WorkerKind.COMPOSE:
        give_back_large_blocks()  # the processes that it forks do the same
    if kind is WorkerKind.CAPTION:
        try:
            from worker.caption_process import get_captioning  # torch: captioning workers alone

            get_captioning().load()
            # The model's hundreds of thousands of objects stay: no collection shall walk over them
            # while jobs wait.
            gc.collect()
            gc.freeze()
        except Exception as error:
            # Celery would log what a handler raises and start without a model.
            logger.exception("the captioning worker cannot start")
            raise SystemExit(1) from error


@signals.worker_ready.connect
def _on_worker_ready(sender: Any, **_: object) -> None:
    """Say so in the store, now and at every beat."""
    worker = sender.controller if hasattr(sender, "controller") else sender
    kind = _kind_of(worker)
    settings = get_settings()
    lifecycle = connect_lifecycle(settings)
    consumption = Consumption(
        partial(messages_waiting, app, kind.value), worker.concurrency, settings.lease_seconds
    )
    threading.Thread(
        target=_stamp_forever,
        args=(lifecycle, kind, worker.concurrency, consumption),
        name="progress-stamp",
        daemon=True,
    ).start()
    logger.info("%s worker ready, %d units at once", kind, worker.concurrency)


@signals.worker_shutting_down.connect
def _on_worker_shutting_down(how: str, **_: object) -> None:
    """Told to stop it takes no more messages and has a while for those it has; in haste (SIGQUIT, a
    second Ctrl+C) it has none."""
    stop_sign.put_up_in(get_settings().stop_seconds if how == "Warm" else 0)


def _stamp_forever(
    lifecycle: JobLifecycle, kind: WorkerKind, capacity: int, consumption: Consumption
) -> None:
    pause = threading.Event()
    while True:
        if consumption.is_stuck(time.monotonic()):
            leave()
            return
        try:
            lifecycle.stamp(make_stamp(lifecycle.owner, kind, capacity))
            lifecycle.bring_counts(process_counters)
        except RedisError as error:
            logger.warning("cannot reach the store: %s", error)
        pause.wait(get_settings().beat_seconds)


def make_stamp(owner: str, kind: WorkerKind, capacity: int) -> WorkerStamp:
    """What the store learns of this process; a captioning worker also tells of its model."""
    if kind is not WorkerKind.CAPTION:
        return WorkerStamp(owner=owner, kind=kind, capacity=capacity)
    from worker.caption_process import get_captioning  # torch: captioning workers alone

    status = get_captioning().status()
    return WorkerStamp(
        owner=owner, kind=kind, capacity=capacity, model=status.in_use, notice=status.reason
    )
