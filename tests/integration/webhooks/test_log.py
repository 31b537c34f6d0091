"""The log of deliveries, page by page, and what the metrics say of them."""

from itertools import chain
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
from tests.integration.api.test_metrics import scrape, value
from tests.integration.webhooks.delivering import attempted, make_endpoint


def pages(client: httpx.Client, url: str, limit: int) -> list[list[str]]:
    """Ids of deliveries, page by page."""
    found: list[list[str]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        answer = client.get(url, params=query)
        assert answer.status_code == 200, answer.text
        found.append([it["id"] for it in answer.json()["data"]])
        if not (cursor := answer.json()["next_cursor"]):
            return found
        query["cursor"] = cursor


@pytest.mark.parametrize("at_one_moment", [False, True])
def test_the_log_is_read_in_pages(
    client: httpx.Client, redis: Redis, receiver: Receiver, at_one_moment: bool
) -> None:
    endpoint = make_endpoint(client, receiver.url("/ok/pages"))
    url = f"/v1/webhook-endpoints/{endpoint['id']}"
    sent = [client.post(f"{url}/test").json()["id"] for _ in range(5)]
    if at_one_moment:
        index = f"{PREFIX}endpoint:{endpoint['id']}:deliveries"
        redis.zadd(index, dict.fromkeys(sent, 1_700_000_000_000))
    (whole,) = pages(client, f"{url}/deliveries", limit=5)
    assert sorted(whole) == sorted(sent)
    found = pages(client, f"{url}/deliveries", limit=2)
    assert [len(page) for page in found] == [2, 2, 1]
    assert [*chain(*found)] == whole


def test_a_cursor_outlives_its_delivery(
    client: httpx.Client, redis: Redis, receiver: Receiver
) -> None:
    endpoint = make_endpoint(client, receiver.url("/ok/gone"))
    url = f"/v1/webhook-endpoints/{endpoint['id']}"
    sent = [client.post(f"{url}/test").json()["id"] for _ in range(3)]
    for moment, delivery in enumerate(sent, start=1):
        redis.zadd(f"{PREFIX}endpoint:{endpoint['id']}:deliveries", {delivery: moment})
    first = client.get(f"{url}/deliveries", params={"limit": 2}).json()
    redis.zrem(f"{PREFIX}endpoint:{endpoint['id']}:deliveries", sent[1])
    rest = client.get(f"{url}/deliveries", params={"cursor": first["next_cursor"]}).json()
    assert [it["id"] for it in rest["data"]] == [sent[0]]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["", "0", "bm90IGEgcGxhY2U", "ü"])
def test_a_cursor_that_no_page_gave_is_refused(client: httpx.Client, cursor: str) -> None:
    deliveries = client.get(f"/v1/jobs/{new_job(client)}").json()["urls"]["deliveries"]
    answer = client.get(deliveries, params={"cursor": cursor})
    assert problem_of(answer)["code"] == "invalid_request"


@pytest.mark.usefixtures("deliverer")
def test_a_job_leads_to_its_deliveries_and_the_metrics_count_them(
    client: httpx.Client, worker: JobLifecycle, receiver: Receiver
) -> None:
    make_endpoint(client, receiver.url("/ok/counted"), events=["job.failed"])
    make_endpoint(client, receiver.url("/status/500/counted"), events=["job.failed"])
    job_id = new_job(client)
    fail(worker)
    job = client.get(f"/v1/jobs/{job_id}").json()

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get(job["urls"]["deliveries"]).json()["data"]
        return found

    for delivery in told():
        attempted(client, delivery["id"], 1)
    wait_until(lambda: {it["state"] for it in told()} == {"delivered", "pending"})
    samples = scrape(client)
    assert value(samples, "webhook_attempts_total", outcome="delivered") == 1
    assert value(samples, "webhook_attempts_total", outcome="refused") == 1
    assert value(samples, "webhook_deliveries_total", state="delivered") == 1
    assert value(samples, "webhook_delay_seconds_count") == 1
    assert 0 < value(samples, "webhook_delay_seconds_sum") < 30
    assert value(samples, "webhooks", state="later") == 1
    assert value(samples, "webhooks", state="due") == 0
    # The store was emptied for this test; the deliverer stamps it again with its next beat.
    wait_until(lambda: value(scrape(client), "workers", kind="deliverer") == 1)
