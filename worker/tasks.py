"""The Celery tasks: they take ids only, and hand over to the code that does the work."""

from celery import Celery

from shared.logging import bound
from shared.queue import TASK_NAMES
from shared.work_units import WorkerKind
from worker.backend import get_backend
from worker.compose_unit import compose_unit
from worker.messages import ticket_of


def register_tasks(app: Celery) -> None:
    """Make `app` answer the messages that the dispatcher publishes."""

    @app.task(name=TASK_NAMES[WorkerKind.CAPTION])
    def caption(**content: object) -> None:
        backend = get_backend()
        ticket = ticket_of(backend, content)
        if ticket is None:
            return
        # Torch comes in with these, and only captioning workers have it.
        from worker.caption_process import get_captioning
        from worker.caption_unit import caption_unit

        with bound(job_id=ticket.job_id):
            caption_unit(backend, get_captioning(), ticket)

    @app.task(name=TASK_NAMES[WorkerKind.COMPOSE])
    def compose(**content: object) -> None:
        backend = get_backend()
        ticket = ticket_of(backend, content)
        if ticket is None:
            return
        with bound(job_id=ticket.job_id):
            compose_unit(backend, ticket)
