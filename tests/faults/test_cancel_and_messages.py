"""Cancels that meet work in each phase, and messages that nobody should get."""

import time

import httpx
import pytest

from gridscribe.client import Client
from shared.queue import TASK_NAMES, make_celery
from shared.settings import Settings
from shared.work_units import WorkerKind
from tests.fixtures.deployment import Deployment
from tests.fixtures.fault_jobs import CAPTIONED, begun, check_done_once, pictures
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("phase", "worker", "point"),
    [
        ("queued", "dispatcher", ""),
        ("running", "caption", "caption.infer=sleep:4*1"),
        ("finalising", "compose", "compose.before_commit=sleep:4*1"),
    ],
)
def test_a_cancel_gives_a_job_exactly_one_end(
    service: Deployment, client: Client, phase: str, worker: str, point: str
) -> None:
    if phase == "queued":
        service["dispatcher"].kill()
    else:
        service.start(worker, failpoints=point)
    job = client.jobs.create(pictures(4), CAPTIONED)
    if phase == "running":
        wait_until(begun(service, job))
    elif phase == "finalising":
        wait_until(lambda: service.outputs(job.id))
    client.jobs.cancel(job.id)
    assert client.jobs.wait(job.id, timeout=300).status == "canceled"
    service.start(worker)
    time.sleep(5)  # what was in work when the cancel came is done by now
    with service.redis() as redis:
        events = redis.xrange(f"{{gridscribe}}:job:{job.id}:events")
    ends = [fields["status"] for _, fields in events if fields["stage"] == "done"]
    assert ends == ["canceled"]
    wait_until(lambda: service.outputs(job.id) == [], what="a canceled sheet left its files")
    assert client.jobs.get(job.id).status == "canceled"


def test_repeated_stale_and_unknown_messages_are_dropped_and_counted(
    service: Deployment, client: Client
) -> None:
    job = client.jobs.create(pictures(4), CAPTIONED)
    check_done_once(service, client, job)
    before = dropped(service)
    celery = make_celery(Settings(redis_url=service.redis_url))
    task, queue = TASK_NAMES[WorkerKind.CAPTION], WorkerKind.CAPTION.value
    ticket = {"job_id": job.id, "unit": "caption:0:4", "attempt": 1}
    celery.send_task(task, kwargs={"version": 1, **ticket}, queue=queue)
    celery.send_task(task, kwargs={"version": 99, **ticket}, queue=queue)
    celery.send_task(task, kwargs={"nonsense": True}, queue=queue)
    celery.send_task("gridscribe.unheard_of", queue=queue)
    expected = {"stale": 1, "newer_version": 1, "malformed": 1, "unknown": 1}
    wait_until(
        lambda: (
            {reason: count - before.get(reason, 0) for reason, count in dropped(service).items()}
            == expected
        )
    )
    check_done_once(service, client, client.jobs.create(pictures(4), CAPTIONED))


def dropped(service: Deployment) -> dict[str, int]:
    """Messages dropped so far by reason, as `/metrics` tells."""
    text = httpx.get(f"{service.base_url}/metrics").text
    prefix = 'gridscribe_messages_dropped_total{reason="'
    lines = [line for line in text.splitlines() if line.startswith(prefix)]
    return {line.split('"')[1]: int(float(line.rpartition(" ")[2])) for line in lines}
