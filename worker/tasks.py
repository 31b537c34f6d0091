"""The Celery tasks: they take ids only, and hand over to the code that does the work."""

from celery import Celery

from shared.logging import bound
from shared.queue import MESSAGE_VERSION, TASK_NAMES
from shared.work_units import Ticket, WorkerKind
from worker.backend import get_backend
from worker.compose_unit import compose_unit


def register_tasks(app: Celery) -> None:
    """Make `app` answer the messages that the dispatcher publishes."""

    @app.task(name=TASK_NAMES[WorkerKind.CAPTION])
    def caption(version: int, job_id: str, unit: str, attempt: int) -> None:
        _check_version(version)
        # Torch comes in with these, and only captioning workers have it.
        from worker.caption_process import get_captioning, get_decoding
        from worker.caption_unit import caption_unit

        with bound(job_id=job_id):
            ticket = Ticket(job_id, unit, attempt)
            caption_unit(get_backend(), get_captioning(), get_decoding(), ticket)

    @app.task(name=TASK_NAMES[WorkerKind.COMPOSE])
    def compose(version: int, job_id: str, unit: str, attempt: int) -> None:
        _check_version(version)
        with bound(job_id=job_id):
            compose_unit(get_backend(), Ticket(job_id, unit, attempt))


def _check_version(version: int) -> None:
    """A refused message is published again when its lease ends, perhaps to a newer worker."""
    if version > MESSAGE_VERSION:
        raise ValueError(
            f"message version {version}, but this worker knows up to {MESSAGE_VERSION}: "
            "upgrade the workers before the dispatcher"
        )
