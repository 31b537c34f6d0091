"""A receiver that is away for hours: who waits for it, and how long.

Only the waiting is shortened, by putting due times in the store back. That no attempt is made in
between is read from the store; the deliverer does not know that it is tested.
"""

from datetime import datetime
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.job_lifecycle import JobLifecycle
from tests.chaos.receiver import Receiver
from tests.fixtures.waiting import wait_until
from tests.integration.api.hand_work import fail, new_job
from tests.integration.webhooks.delivering import (
    attempted,
    deliveries_of,
    let_time_pass,
    seconds_until_next,
)

pytestmark = pytest.mark.usefixtures("deliverer")

HOUR = 3600.0
OUTAGE = 6 * HOUR
FIRST = 5.0
"""The pauses of docs/webhooks.md: the first is short enough to be waited for."""
WITHIN_IT = (300.0, 1800.0, 2 * HOUR)
"""Even stretched by a fifth they all end within the outage."""
BEYOND_IT = 5 * HOUR
"""Even shortened by a fifth it ends when the receiver is back."""
SLACK = 30
"""Seconds that a busy machine may take to look at what was just done."""


def pause_ahead(redis: Redis, delivery_id: str, documented: float) -> float:
    """Seconds until the next attempt, seen to be those of the schedule."""
    left = seconds_until_next(redis, delivery_id)
    assert 0.8 * documented - SLACK < left <= 1.2 * documented
    return left


def test_a_receiver_that_was_down_for_six_hours_gets_the_message_once_by_the_schedule(
    client: httpx.Client, worker: JobLifecycle, redis: Redis, tmp_path: Path
) -> None:
    with Receiver(tmp_path / "receiver") as receiver:
        receiver.kill()
        webhook = {"url": receiver.url, "events": ["job.failed"], "secret": receiver.secret}
        job_id = new_job(client, webhook=webhook)
        fail(worker)
        [delivery] = deliveries_of(client, job_id)
        first, second = attempted(client, delivery["id"], 2)["attempts"]
        passed = (
            datetime.fromisoformat(second["at"]) - datetime.fromisoformat(first["at"])
        ).total_seconds()
        assert 0.8 * FIRST <= passed <= 1.2 * FIRST + SLACK

        for attempts, pause in enumerate(WITHIN_IT, start=2):
            assert attempted(client, delivery["id"], attempts)["state"] == "pending"
            left = pause_ahead(redis, delivery["id"], pause)
            let_time_pass(redis, left)
            passed += left
        attempted(client, delivery["id"], 5)
        pause_ahead(redis, delivery["id"], BEYOND_IT)
        let_time_pass(redis, OUTAGE - passed)
        assert seconds_until_next(redis, delivery["id"]) > 0, "the outage ends before the attempt"

        receiver.start()
        let_time_pass(redis, seconds_until_next(redis, delivery["id"]))
        wait_until(receiver.receipts)
        done = attempted(client, delivery["id"], 6)
        assert (done["state"], done["next_attempt_at"]) == ("delivered", None)
        errors = [each.get("error") or "" for each in done["attempts"]]
        assert all("cannot be reached" in error for error in errors[:-1])
        assert errors[-1] == ""

        let_time_pass(redis, 30 * HOUR)
        later = new_job(client, webhook=webhook)
        fail(worker)
        wait_until(lambda: {it.job_id for it in receiver.receipts()} == {job_id, later})
        [receipt] = [it for it in receiver.receipts() if it.job_id == job_id]
        assert (receipt.id, receipt.event) == (delivery["id"], "job.failed")
        assert receipt.refusal is None, "signed as of the time of the attempt"
