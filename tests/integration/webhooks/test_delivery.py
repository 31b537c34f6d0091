"""What receivers are told of jobs, and what becomes of it where they do not answer well."""

import json
from datetime import datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from shared.job_lifecycle import JobLifecycle
from shared.settings import Settings
from tests.fixtures.webhook_receiver import Receiver
from tests.integration.api.hand_work import finish, new_job
from tests.integration.webhooks.delivering import (
    deliveries_of,
    eventually,
    make_endpoint,
)

pytestmark = pytest.mark.usefixtures("deliverer")

DAY = 24 * 3600


def test_the_end_of_a_job_is_told_with_the_job_itself_signed_as_the_library_wants_it(
    client: httpx.Client,
    worker: JobLifecycle,
    webhook_settings: Settings,
    receiver: Receiver,
) -> None:
    endpoint = make_endpoint(client, receiver.url("/ok/end"))
    job_id = new_job(client, title="Füchse", metadata={"shot": 7})
    finish(worker, webhook_settings, [b"sheet"])
    (message,) = eventually(lambda: receiver.received("/ok/end"))
    body = Webhook(endpoint["secret"]).verify(message["body"], message["headers"])
    assert body["type"] == "job.succeeded"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    shown = client.get(f"/v1/jobs/{job_id}").json()
    there = json.loads(
        json.dumps(shown).replace(str(client.base_url).rstrip("/"), "http://sheets.example")
    )
    assert body["data"] == there | {"queue_position": None}
    assert message["headers"]["content-type"] == "application/json"
    (delivery,) = eventually(
        lambda: [it for it in deliveries_of(client, job_id) if it["state"] == "delivered"]
    )
    assert delivery["id"] == message["headers"]["webhook-id"]
    assert delivery["endpoint_id"] == endpoint["id"]
    (attempt,) = delivery["attempts"]
    assert (attempt["attempt"], attempt["status"], attempt["error"]) == (1, 204, None)
