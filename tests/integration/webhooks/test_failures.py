"""What becomes of a delivery whose receiver does not answer well.

Time is moved by putting due times in the store back: the deliverer does not know that it is tested.
"""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from redis import Redis

from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from tests.fixtures.waiting import wait_until
from tests.fixtures.webhook_receiver import Receiver
from tests.integration.api.hand_work import fail, new_job
from tests.integration.api.served import problem_of
from tests.integration.webhooks.delivering import (
    attempted,
    deliveries_of,
    let_time_pass,
    make_endpoint,
    seconds_until_next,
)

HOUR, DAY = 3600, 24 * 3600
SLACK = 30
"""Seconds that a busy machine may take to look at what was just done."""
SCHEDULE = [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]


pytestmark = pytest.mark.usefixtures("deliverer")


@pytest.fixture
def failed(client: httpx.Client, worker: JobLifecycle) -> Any:
    """Tells a URL that a job has failed; the delivery, once an attempt at it is over."""

    def tell(url: str, times: int = 1) -> dict[str, Any]:
        make_endpoint(client, url, events=["job.failed"])
        job_id = new_job(client)
        fail(worker)
        (delivery,) = deliveries_of(client, job_id)
        return attempted(client, delivery["id"], times)

    return tell


def test_the_schedule_is_kept_to_its_end_under_one_id_and_then_the_delivery_is_dead(
    client: httpx.Client, redis: Redis, receiver: Receiver, failed: Any
) -> None:
    delivery = failed(receiver.url("/status/500/schedule"))
    for attempt, delay in enumerate(SCHEDULE, start=2):
        left = seconds_until_next(redis, delivery["id"])
        assert 0.8 * delay - SLACK < left <= 1.2 * delay
        let_time_pass(redis, max(left, 0))
        delivery = attempted(client, delivery["id"], attempt)
    assert (delivery["state"], delivery["next_attempt_at"]) == ("dead", None)
    messages = receiver.received("/status/500/schedule")
    assert {message["headers"]["webhook-id"] for message in messages} == {delivery["id"]}
    assert len({message["body"] for message in messages}) == 1
    assert len(messages) == len(delivery["attempts"]) == 10
    assert [it["error"] for it in delivery["attempts"]] == ["it answered 500, not 2xx"] * 10
    logged = delivery["attempts"][0]
    assert (logged["status"], logged["answer"]) == (500, "because")
    assert redis.ttl(f"{PREFIX}delivery:{delivery['id']}") > 2 * DAY

    again = client.post(f"/v1/deliveries/{delivery['id']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    delivery = attempted(client, delivery["id"], 11)
    assert delivery["state"] == "pending", "the schedule begins anew"
    assert redis.ttl(f"{PREFIX}delivery:{delivery['id']}") == -1


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/hang", None, "no answer within 5 s"),
        ("/reset", None, "the connection broke off"),
        ("/chatter", 200, None),
        ("/long", 200, None),
        ("/redirect?to=http://169.254.169.254/", 302, "redirects are not followed"),
    ],
)
def test_whatever_a_receiver_does_is_logged(
    receiver: Receiver, failed: Any, path: str, status: int | None, error: str | None
) -> None:
    delivery = failed(receiver.url(path))
    (attempt,) = delivery["attempts"]
    assert attempt["status"] == status
    assert len(attempt["answer"] or "") <= 500
    assert attempt["duration_ms"] < 1000 * (5 + SLACK)
    if error is None:
        assert delivery["state"] == "delivered"
    else:
        assert error in attempt["error"]
        assert delivery["state"] == "pending"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "localhost."])
def test_nothing_is_sent_into_a_network_that_is_not_public(failed: Any, host: str) -> None:
    delivery = failed(f"http://{host}:1/latest/meta-data")
    assert "not" in delivery["attempts"][0]["error"]
    assert delivery["attempts"][0]["status"] is None


def test_410_disables_the_endpoint_which_says_why_until_it_is_enabled_again(
    client: httpx.Client, receiver: Receiver, failed: Any
) -> None:
    delivery = failed(receiver.url("/status/410"))
    assert delivery["state"] == "dead"
    address = f"/v1/webhook-endpoints/{delivery['endpoint_id']}"
    endpoint = client.get(address).json()
    assert (endpoint["disabled"], endpoint["disabled_reason"]) == (
        True,
        "its receiver answered 410 Gone",
    )
    assert endpoint["disabled_at"]
    for refused in (client.post(f"{address}/test"), client.post(delivery["urls"]["redeliver"])):
        assert (refused.status_code, problem_of(refused)["code"]) == (409, "endpoint_disabled")
    job_id = new_job(client)
    client.post(f"/v1/jobs/{job_id}/cancel")
    assert deliveries_of(client, job_id) == []

    enabled = client.patch(address, json={"disabled": False, "url": receiver.url("/ok/back")})
    assert enabled.json()["disabled"] is False
    assert client.post(delivery["urls"]["redeliver"]).status_code == 202
    assert wait_until(lambda: receiver.received("/ok/back"))


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(redis: Redis, receiver: Receiver, failed: Any, form: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    wish = "3600" if form == "seconds" else later.replace(" ", "%20")
    delivery = failed(receiver.url(f"/busy?seconds={wish}"))
    assert delivery["attempts"][0]["status"] == 429
    assert 3500 < seconds_until_next(redis, delivery["id"]) <= 3601


def test_an_endpoint_that_fails_for_five_days_is_disabled_and_one_success_starts_anew(
    client: httpx.Client, redis: Redis, receiver: Receiver, failed: Any
) -> None:
    delivery = failed(receiver.url("/status/503/five"))
    key = f"{PREFIX}endpoint:{delivery['endpoint_id']}"
    address = f"/v1/webhook-endpoints/{delivery['endpoint_id']}"
    since = client.get(address).json()["failing_since"]
    assert since is not None

    client.patch(address, json={"url": receiver.url("/ok/five")})
    client.post(delivery["urls"]["redeliver"])
    attempted(client, delivery["id"], 2)
    assert client.get(address).json()["failing_since"] is None

    client.patch(address, json={"url": receiver.url("/status/503/five")})
    client.post(delivery["urls"]["redeliver"])
    attempted(client, delivery["id"], 3)
    redis.hincrby(key, "failing_since", -5 * DAY * 1000)
    client.post(delivery["urls"]["redeliver"])
    attempted(client, delivery["id"], 4)
    endpoint = client.get(address).json()
    assert endpoint["disabled_reason"] == "nothing could be delivered for 5 days"


def test_what_waits_for_an_endpoint_stops_when_it_is_deleted(
    client: httpx.Client, redis: Redis, receiver: Receiver, failed: Any
) -> None:
    delivery = failed(receiver.url("/status/500/deleted"))
    assert client.delete(f"/v1/webhook-endpoints/{delivery['endpoint_id']}").status_code == 204
    stopped = client.get(f"/v1/deliveries/{delivery['id']}").json()
    assert (stopped["state"], stopped["reason"]) == ("stopped", "its endpoint was deleted")
    assert redis.zcard(f"{PREFIX}deliveries") == 0
    refused = client.post(delivery["urls"]["redeliver"])
    assert (refused.status_code, problem_of(refused)["code"]) == (404, "endpoint_not_found")


def test_progress_that_failed_is_not_sent_again_once_the_job_is_over(
    client: httpx.Client, worker: JobLifecycle, receiver: Receiver
) -> None:
    make_endpoint(client, receiver.url("/hang/progress"), events=["job.progress"])
    job_id = new_job(client)
    (ticket,) = worker.dispatch("compose", 1)  # type: ignore[arg-type]
    worker.start_compose(ticket)
    wait_until(lambda: worker.beat(ticket, 1) and deliveries_of(client, job_id))
    worker.yield_unit(ticket)
    client.post(f"/v1/jobs/{job_id}/cancel")
    (delivery,) = deliveries_of(client, job_id)
    assert attempted(client, delivery["id"], 1)["state"] == "superseded"
