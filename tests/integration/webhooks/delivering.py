"""What tests of webhooks share: endpoints made, deliveries waited for, and time that passes."""

import os
import subprocess
import sys
from typing import Any

import httpx
from redis import Redis

from shared.keyspace import PREFIX
from shared.settings import Settings
from tests.fixtures.waiting import wait_until


def start_deliverer(settings: Settings, **changes: str) -> subprocess.Popen[bytes]:
    """A process that reads these settings from its environment, as in production."""
    environment = {
        "GRIDSCRIBE_REDIS_URL": settings.redis_url,
        "GRIDSCRIBE_PUBLIC_URL": settings.public_url,
        "GRIDSCRIBE_ALLOWED_NETWORKS": ",".join(map(str, settings.allowed_networks)),
        "GRIDSCRIBE_ALLOWED_PORTS": "*",
        "GRIDSCRIBE_WEBHOOK_TIMEOUT_SECONDS": str(settings.webhook_timeout_seconds),
        "GRIDSCRIBE_LOG_LEVEL": "DEBUG",
        **changes,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "worker.deliverer"], env={**os.environ, **environment}
    )


def make_endpoint(client: httpx.Client, url: str, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/webhook-endpoints", json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def deliveries_of(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job_id}/deliveries", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def attempted(client: httpx.Client, delivery_id: str, times: int) -> dict[str, Any]:
    """The delivery, once so many attempts at it are over."""

    def delivery() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/v1/deliveries/{delivery_id}").json()
        return found if len(found["attempts"]) >= times else None

    found: dict[str, Any] = wait_until(delivery)
    return found


def seconds_until_next(redis: Redis, delivery_id: str) -> float:
    """By the store's own clock."""
    seconds, microseconds = redis.time()
    due = redis.zscore(f"{PREFIX}deliveries", delivery_id)
    assert due is not None
    return float(due) / 1000 - seconds - microseconds / 1e6


# At once: what is settled between reading a queue and changing it must not come back.
_PUT_BACK = """
local prefix, milliseconds = ARGV[1], tonumber(ARGV[2])
local queues = {'deliveries', 'lanes'}
for _, lane in ipairs(redis.call('ZRANGE', prefix .. 'lanes', 0, -1)) do
  queues[#queues + 1] = 'due:' .. lane
end
for _, queue in ipairs(queues) do
  for _, member in ipairs(redis.call('ZRANGE', prefix .. queue, 0, -1)) do
    redis.call('ZINCRBY', prefix .. queue, -milliseconds, member)
  end
end
"""


def let_time_pass(redis: Redis, seconds: float) -> None:
    """As if it were so much later for all that waits: every due time is put back."""
    redis.eval(_PUT_BACK, 0, PREFIX, str(round(seconds * 1000)))
