"""Deliverers that die, and one slow receiver among many."""

import json
from datetime import datetime
from functools import partial

import httpx

from shared.job_lifecycle import JobLifecycle
from shared.settings import Settings
from tests.fixtures.waiting import PATIENCE, wait_until
from tests.fixtures.webhook_receiver import Receiver
from tests.integration.api.hand_work import fail, new_job
from tests.integration.webhooks.delivering import (
    deliveries_of,
    make_endpoint,
    start_deliverer,
)


def test_the_delivery_of_a_killed_deliverer_goes_out_when_its_lease_ends(
    client: httpx.Client, worker: JobLifecycle, webhook_settings: Settings, receiver: Receiver
) -> None:
    endpoint = make_endpoint(client, receiver.url("/hang/killed"), events=["job.failed"])
    job_id = new_job(client)
    first = start_deliverer(webhook_settings, GRIDSCRIBE_WEBHOOK_TIMEOUT_SECONDS="2")
    try:
        fail(worker)
        wait_until(lambda: receiver.received("/hang/killed"))
    finally:
        first.kill()
        first.wait()
    client.patch(
        f"/v1/webhook-endpoints/{endpoint['id']}", json={"url": receiver.url("/ok/killed")}
    )
    second = start_deliverer(webhook_settings)
    try:
        (message,) = wait_until(lambda: receiver.received("/ok/killed"))
    finally:
        second.terminate()
        assert second.wait(PATIENCE) == 0
    assert message["headers"]["webhook-id"] == deliveries_of(client, job_id)[0]["id"]
    assert json.loads(message["body"])["data"]["id"] == job_id


def test_a_deliverer_told_to_stop_ends_the_attempt_that_is_under_way(
    client: httpx.Client, worker: JobLifecycle, webhook_settings: Settings, receiver: Receiver
) -> None:
    make_endpoint(client, receiver.url("/slow/stopped?seconds=2"), events=["job.failed"])
    job_id = new_job(client)
    deliverer = start_deliverer(webhook_settings)
    try:
        fail(worker)
        wait_until(lambda: receiver.received("/slow/stopped"))
    finally:
        deliverer.terminate()
        assert deliverer.wait(PATIENCE) == 0
    [delivery] = deliveries_of(client, job_id)
    assert delivery["state"] == "delivered"
    assert receiver.count("/slow/stopped") == 1


def _has_arrived(receiver: Receiver, count: int) -> bool:
    return receiver.count("/ok/of-ten") >= count


def test_a_receiver_that_hangs_holds_up_no_other(
    client: httpx.Client, webhook_settings: Settings, receiver: Receiver
) -> None:
    """1,000 messages to ten receivers: of those to the nine that answer, 95 in 100 are there two
    seconds after the event."""
    for n in range(10):
        url = receiver.url("/hang/of-ten" if n == 0 else f"/ok/of-ten/{n}", n)
        make_endpoint(client, url, events=["job.canceled"])
    deliverers = [start_deliverer(webhook_settings) for _ in range(2)]
    try:
        for wave in range(1, 101):
            client.post(f"/v1/jobs/{new_job(client)}/cancel")
            wait_until(partial(_has_arrived, receiver, 9 * wave))
    finally:
        for process in deliverers:
            process.terminate()
        for process in deliverers:
            process.wait(PATIENCE)
    arrived = receiver.received("/ok/of-ten")
    assert len({message["headers"]["webhook-id"] for message in arrived}) == len(arrived) == 900
    waited = sorted(
        message["at"] - datetime.fromisoformat(json.loads(message["body"])["timestamp"]).timestamp()
        for message in arrived
    )
    assert waited[854] < 2, waited[::100]
    assert receiver.count("/hang/of-ten") < 20, "it gets few at a time"
