"""Processes that are told to end: politely, twice, in haste, and one after the other under load."""

import itertools
import json
import threading
import time
from signal import Signals

import pytest

from gridscribe.client import Client
from shared.job_spec import JobWebhook, WebhookEvent
from shared.schemas import Job
from shared.webhooks import Delivery
from tests.fixtures.deployment import Deployment
from tests.fixtures.fault_jobs import CAPTIONED, PLAIN, begun, check_done_once, pictures
from tests.fixtures.half_sent import half_sent
from tests.fixtures.waiting import wait_until
from tests.fixtures.webhook_receiver import receiving

pytestmark = pytest.mark.faults

TOLD = (WebhookEvent.STARTED, WebhookEvent.SUCCEEDED)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("caption", "caption.infer=sleep:2*1"),
        ("compose", "compose.before_store=sleep:2*1"),
    ],
)
def test_a_worker_told_to_stop_finishes_what_it_can(
    service: Deployment, client: Client, name: str, point: str
) -> None:
    service.start(name, failpoints=point, stop_seconds=60)
    job = client.jobs.create(pictures(4), CAPTIONED if name == "caption" else PLAIN)
    wait_until(begun(service, job))
    assert service.stop(name) == 0
    service.start(name)
    done = check_done_once(service, client, job, captioned=name == "caption")
    assert done.attempts == 1, "nothing was done again"


def test_a_worker_told_to_stop_hands_back_what_takes_too_long(
    service: Deployment, client: Client
) -> None:
    # Leases that do not run out: what comes back was handed back.
    service.start("caption", failpoints="caption.infer=hang", stop_seconds=1, lease_seconds=3600)
    service.start("caption-2", failpoints="caption.decode=sleep:0.1", lease_seconds=3600)
    service["caption-2"].send_to_group(Signals.SIGSTOP)
    job = client.jobs.create(pictures(4), CAPTIONED)
    wait_until(begun(service, job))
    service["caption-2"].send_to_group(Signals.SIGCONT)
    service["caption"].send(Signals.SIGTERM)
    check_done_once(service, client, job)
    service.start("caption")
    service["caption-2"].kill()


@pytest.mark.parametrize(
    "numbers",
    [
        (Signals.SIGTERM, Signals.SIGTERM),
        (Signals.SIGINT, Signals.SIGINT),
        (Signals.SIGQUIT,),
    ],
)
@pytest.mark.parametrize("name", ["caption", "compose"])
def test_a_worker_ended_in_haste_loses_nothing(
    service: Deployment, client: Client, name: str, numbers: tuple[Signals, ...]
) -> None:
    point = "caption.infer=sleep:1*1" if name == "caption" else "compose.before_store=sleep:1*1"
    service.start(name, failpoints=point, stop_seconds=2)
    job = client.jobs.create(pictures(4), CAPTIONED if name == "caption" else PLAIN)
    wait_until(begun(service, job))
    for number in numbers:
        service[name].send(number)
        time.sleep(0.2)
    service[name].wait()
    service.start(name)
    check_done_once(service, client, job, captioned=name == "caption")


def test_a_dispatcher_told_to_stop_publishes_what_it_has_leased(
    service: Deployment, client: Client
) -> None:
    # A lease that does not run out: what was leased was published.
    service.start("dispatcher", failpoints="dispatch.before_publish=sleep:2*1", lease_seconds=3600)
    job = client.jobs.create(pictures(24), CAPTIONED)
    wait_until(lambda: service.redis().zcard("{gridscribe}:leases:caption") == 3)
    assert service.stop("dispatcher") == 0
    wait_until(lambda: service.record(job.id).get("captions_done") == "24")
    service.start("dispatcher")
    assert check_done_once(service, client, job).attempts == 1


def test_an_api_told_to_stop_takes_the_upload_that_is_under_way(
    service: Deployment, client: Client
) -> None:
    with half_sent(service) as submission:
        service["api"].send(Signals.SIGTERM)
        time.sleep(1)
        assert b" 202 " in submission.finish()
    assert service["api"].wait() == 0
    service.start("api")
    assert client.jobs.wait(submission.job_id, timeout=300).status == "succeeded"


def test_an_api_told_to_stop_waits_for_no_upload_that_stalls_and_leaves_none_of_its_files(
    service: Deployment,
) -> None:
    service.start("api", body_grace_seconds=600)  # nothing else ends a body that stalls
    with half_sent(service) as submission:
        told = time.monotonic()
        service["api"].send(Signals.SIGTERM)
        assert service["api"].wait() == 0
        assert time.monotonic() - told < 40, "five seconds of grace, and what a busy machine adds"
        service.start("api")
        assert not list((service.storage / "jobs" / submission.job_id).glob("inputs/*"))


def test_a_rolling_restart_under_load_loses_no_request_no_job_and_no_message(
    service: Deployment, client: Client
) -> None:
    jobs: list[Job] = []
    told: list[Job] = []
    failures: list[str] = []
    is_over = threading.Event()

    def submit(webhook: JobWebhook) -> None:
        with service.client(retries=2) as caller:
            for number in itertools.count():
                if is_over.is_set():
                    return
                spec = CAPTIONED if number % 2 else PLAIN
                is_told = number % 5 == 0
                if is_told:
                    spec = spec.model_copy(update={"webhook": webhook})
                try:
                    job = caller.jobs.create(pictures(3), spec)
                    (told if is_told else jobs).append(job)
                    caller.jobs.get(job.id)
                except Exception as error:  # noqa: BLE001 # whatever it is, it is what is looked for
                    failures.append(repr(error))

    with receiving() as receiver:
        # Some attempts are under way whenever a deliverer is told to stop.
        webhook = JobWebhook(url=receiver.url("/slow?seconds=0.2"), events=TOLD)
        service.start("deliverer")
        callers = [threading.Thread(target=submit, args=(webhook,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            for name in ("api", "caption", "compose", "dispatcher", "deliverer"):
                service.start(f"{name}-2")
                assert service.stop(name) == 0
                service.start(name)
                assert service.stop(f"{name}-2") == 0
        finally:
            is_over.set()
            for caller in callers:
                caller.join()
        assert failures == []
        assert len(jobs) > 5
        for job in (*jobs, *told):
            assert client.jobs.wait(job.id, timeout=300).status == "succeeded"
        deliveries = {job.id: all_delivered(client, job) for job in told}
        assert service.stop("deliverer") == 0
        messages = [(it["headers"]["webhook-id"], it["body"]) for it in receiver.received("/slow")]
    came = {
        (message, (it := json.loads(body))["type"], it["data"]["id"]) for message, body in messages
    }
    assert came == {(it.id, it.type, job) for job, found in deliveries.items() for it in found}


def all_delivered(client: Client, job: Job) -> list[Delivery]:
    """What was to be told of a job: each event once, and by now it was."""

    def delivered() -> list[Delivery] | None:
        found = list(client.deliveries.of_job(job.id))
        return found if all(it.state == "delivered" for it in found) else None

    found = wait_until(delivered, what=f"not all of job {job.id} is delivered")
    assert sorted(it.type for it in found) == sorted(TOLD)
    return found
