"""What receivers are told of jobs."""

import json
from datetime import datetime
from typing import Any

import httpx
import pytest
from redis import Redis
from standardwebhooks.webhooks import Webhook

from shared.job_lifecycle import JobLifecycle
from shared.keyspace import PREFIX
from shared.settings import Settings
from shared.webhook_signature import new_secret
from tests.fixtures.waiting import wait_until
from tests.fixtures.webhook_receiver import Receiver
from tests.integration.api.hand_work import begin, fail, finish, new_job
from tests.integration.api.served import image_part, problem_of, spec_part, submit
from tests.integration.webhooks.delivering import (
    attempted,
    deliveries_of,
    make_endpoint,
)

pytestmark = pytest.mark.usefixtures("deliverer")


def bodies(receiver: Receiver, path: str, count: int) -> list[dict[str, Any]]:
    """Once there are so many of them."""
    found = wait_until(
        lambda: received if len(received := receiver.received(path)) >= count else None
    )
    assert len(found) == count
    return [json.loads(message["body"]) for message in found]


def test_the_end_of_a_job_is_told_with_the_job_itself_signed_as_the_library_wants_it(
    client: httpx.Client, worker: JobLifecycle, webhook_settings: Settings, receiver: Receiver
) -> None:
    endpoint = make_endpoint(client, receiver.url("/ok/end"))
    job_id = new_job(client, title="Füchse", metadata={"shot": 7})
    finish(worker, webhook_settings, [b"sheet"])
    (message,) = wait_until(lambda: receiver.received("/ok/end"))
    body = Webhook(endpoint["secret"]).verify(message["body"], message["headers"])
    assert body["type"] == "job.succeeded"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    shown = client.get(f"/v1/jobs/{job_id}").text
    assert body["data"] == json.loads(
        shown.replace(str(client.base_url).rstrip("/"), "http://sheets.example")
    )
    assert body["data"]["spec"]["title"] == "Füchse"
    assert message["headers"]["content-type"] == "application/json"
    (delivery,) = wait_until(
        lambda: [it for it in deliveries_of(client, job_id) if it["state"] == "delivered"]
    )
    assert delivery["id"] == message["headers"]["webhook-id"]
    assert delivery["endpoint_id"] == endpoint["id"]
    (attempt,) = delivery["attempts"]
    assert (attempt["attempt"], attempt["status"], attempt["error"]) == (1, 204, None)


def test_a_receiver_hears_of_the_events_that_it_asked_for(
    client: httpx.Client, worker: JobLifecycle, webhook_settings: Settings, receiver: Receiver
) -> None:
    make_endpoint(client, receiver.url("/ok/life"), events=["job.started", "job.failed"])
    new_job(client)
    fail(worker)
    new_job(client)
    finish(worker, webhook_settings, [b"sheet"])
    told = bodies(receiver, "/ok/life", 3)
    assert sorted(body["type"] for body in told) == ["job.failed", "job.started", "job.started"]
    (failed,) = (body["data"] for body in told if body["type"] == "job.failed")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "no_readable_image")
    started = [body["data"]["status"] for body in told if body["type"] == "job.started"]
    assert started == ["running", "running"]


def test_progress_is_told_once_a_second_at_most(
    client: httpx.Client, worker: JobLifecycle, receiver: Receiver
) -> None:
    make_endpoint(client, receiver.url("/ok/progress"), events=["job.progress"])
    submit(client, *(image_part(f"{n}.png") for n in range(12)))
    ticket = begin(worker)
    for done in range(6):
        worker.beat(ticket, done)
    wait_until(lambda: worker.beat(ticket, 7) and receiver.received("/ok/progress"))
    (body,) = bodies(receiver, "/ok/progress", 1)
    assert body["data"]["progress"] == {"stage": "composing", "done": 7, "total": 12}


def test_a_job_that_was_canceled_and_one_that_expires_are_told_of(
    client: httpx.Client,
    worker: JobLifecycle,
    redis: Redis,
    webhook_settings: Settings,
    receiver: Receiver,
) -> None:
    make_endpoint(client, receiver.url("/ok/gone"), events=["job.canceled", "job.expired"])
    canceled = new_job(client, metadata={"shot": 8})
    client.post(f"/v1/jobs/{canceled}/cancel")
    (body,) = bodies(receiver, "/ok/gone", 1)
    assert (body["type"], body["data"]["status"]) == ("job.canceled", "canceled")

    expiring = new_job(client, metadata={"shot": 9})
    finish(worker, webhook_settings, [b"sheet"])
    redis.zadd(f"{PREFIX}expiry", {expiring: 0})  # as if its time were over
    assert worker.expired_jobs() == [expiring]
    worker.forget(expiring)
    data = bodies(receiver, "/ok/gone", 2)[1]["data"]
    assert (data["id"], data["status"], data["metadata"]) == (expiring, "expired", {"shot": 9})
    assert data["result"] is None


def test_a_job_may_name_its_own_receiver_and_secret_and_shows_the_secret_nowhere(
    client: httpx.Client, worker: JobLifecycle, webhook_settings: Settings, receiver: Receiver
) -> None:
    secret = new_secret()
    webhook = {"url": receiver.url("/ok/own"), "secret": secret}
    answer = submit(client, image_part("a.png"), spec_part({"webhook": webhook}))
    job_id = answer.json()["id"]
    finish(worker, webhook_settings, [b"sheet"])
    (message,) = wait_until(lambda: receiver.received("/ok/own"))
    Webhook(secret).verify(message["body"], message["headers"])
    (delivery,) = deliveries_of(client, job_id)
    assert delivery["endpoint_id"] is None
    shown = client.get(f"/v1/jobs/{job_id}").text + json.dumps(delivery) + message["body"]
    assert secret not in answer.text + shown

    labels = {"labels": {"0": "another"}}
    again = client.post(f"/v1/jobs/{job_id}/relabel", json=labels)
    assert again.status_code == 202, again.text
    assert secret not in again.text
    finish(worker, webhook_settings, [b"sheet"])
    second = wait_until(lambda: receiver.received("/ok/own")[1:])[0]
    Webhook(secret).verify(second["body"], second["headers"])


def test_a_job_without_a_secret_is_told_of_unsigned(
    client: httpx.Client, worker: JobLifecycle, webhook_settings: Settings, receiver: Receiver
) -> None:
    new_job(client, webhook={"url": receiver.url("/ok/bare"), "events": ["job.succeeded"]})
    finish(worker, webhook_settings, [b"sheet"])
    (message,) = wait_until(lambda: receiver.received("/ok/bare"))
    assert "webhook-signature" not in message["headers"]
    assert message["headers"]["webhook-id"].startswith("msg_")


def test_a_message_stays_under_twenty_kilobytes_and_names_what_it_leaves_out(
    client: httpx.Client, worker: JobLifecycle, receiver: Receiver
) -> None:
    make_endpoint(client, receiver.url("/ok/large"), events=["job.failed"])
    metadata = {"note": "é" * 2500}
    new_job(client, candidates=["c" * 190 + str(n) for n in range(60)], metadata=metadata)
    fail(worker)
    (message,) = wait_until(lambda: receiver.received("/ok/large"))
    assert len(message["body"].encode()) < 20_000
    data = json.loads(message["body"])["data"]
    assert data["omitted"] == ["images", "warnings", "spec"]
    assert "spec" not in data
    assert data["metadata"] == metadata


def test_after_a_rotation_both_secrets_verify_until_the_old_ones_time_is_over(
    client: httpx.Client, receiver: Receiver
) -> None:
    endpoint = make_endpoint(client, receiver.url("/ok/rotated"))
    address = f"/v1/webhook-endpoints/{endpoint['id']}"
    rotated = client.post(f"{address}/rotate-secret", json={"overlap_seconds": 60}).json()
    assert rotated["secret"] != endpoint["secret"]
    client.post(f"{address}/test")
    (message,) = wait_until(lambda: receiver.received("/ok/rotated"))
    for secret in (rotated["secret"], endpoint["secret"]):
        body = Webhook(secret).verify(message["body"], message["headers"])
    assert body == {**body, "type": "webhook.test", "data": {"endpoint_id": endpoint["id"]}}

    last = client.post(f"{address}/rotate-secret", json={"overlap_seconds": 0}).json()["secret"]
    client.post(f"{address}/test")
    second = wait_until(lambda: receiver.received("/ok/rotated")[1:])[0]
    assert second["headers"]["webhook-signature"].count("v1,") == 1
    Webhook(last).verify(second["body"], second["headers"])


def test_deleting_a_job_removes_its_deliveries(
    client: httpx.Client, worker: JobLifecycle, redis: Redis, receiver: Receiver
) -> None:
    endpoint = make_endpoint(client, receiver.url("/status/500/kept"), events=["job.failed"])
    job_id = new_job(client)
    fail(worker)
    (delivery,) = wait_until(lambda: deliveries_of(client, job_id))
    attempted(client, delivery["id"], 1)
    client.delete(f"/v1/jobs/{job_id}")
    assert client.get(f"/v1/deliveries/{delivery['id']}").status_code == 404
    log = client.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries").json()
    assert log == {"data": [], "next_cursor": None}
    assert redis.keys("*delivery:*") + redis.keys("*due:*") == []


def test_a_url_that_could_never_be_sent_to_is_refused_at_once(client: httpx.Client) -> None:
    for url in ("ftp://studio.example/", "https://user:pw@studio.example/", "nonsense"):
        answer = client.post("/v1/webhook-endpoints", json={"url": url})
        assert (answer.status_code, problem_of(answer)["code"]) == (422, "url_not_allowed"), url
        refused = submit(client, image_part("a.png"), spec_part({"webhook": {"url": url}}))
        assert refused.status_code == 422
        assert problem_of(refused)["errors"][0]["location"] == "spec.webhook.url"


def test_a_secret_that_cannot_be_one_is_refused_without_repeating_it(client: httpx.Client) -> None:
    webhook = {"url": "https://studio.example/", "secret": "hunter2-hunter2"}
    refused = submit(client, image_part("a.png"), spec_part({"webhook": webhook}))
    assert refused.status_code == 422
    assert "24 to 64 random bytes" in problem_of(refused)["detail"]
    assert "hunter2" not in refused.text
