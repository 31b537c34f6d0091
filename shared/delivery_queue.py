"""The deliverer's side of the store: take what is due, say what became of it.

Each step is one script, so a deliverer may die between any two and nothing is lost: what it had
is due again when its lease ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

from redis.asyncio import Redis

from shared.keyspace import PREFIX, script_source
from shared.settings import Settings
from shared.webhooks import DeliveryAttempt
from shared.work_units import WorkerStamp

PATIENCE_SECONDS = 5 * 24 * 3600
"""An endpoint at which nothing but failures was seen for so long is disabled."""

_LEASE_FACTOR = 2
"""A lease outlasts the longest attempt by as much again, for the steps around it."""


class Outcome(StrEnum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    """There was an answer, but not one of success."""
    UNANSWERED = "unanswered"
    GONE = "gone"
    """The receiver wants no more: 410."""


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One attempt at one message, granted to this process."""

    id: str
    attempt: int
    """The fencing token."""
    failures: int
    """Attempts of this schedule that failed before."""
    event: str
    job_id: str
    """Empty for a test."""
    happened_at: datetime
    url: str
    secrets: tuple[str, ...]
    """That sign it, the newest first; none where the job gave none."""
    about: str
    """JSON: the job's changing fields as they were, or what a test says."""
    at: datetime
    """When it was granted, by the store's clock."""


class DeliveryQueue:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis, settings: Settings, owner: str) -> None:
        self._redis = redis
        self._settings = settings
        self._owner = owner
        self._lease_ms = round(_LEASE_FACTOR * settings.webhook_timeout_seconds * 1000)
        self._take = redis.register_script(script_source("take_deliveries"))
        self._settle = redis.register_script(script_source("settle_delivery"))
        self._stamp = redis.register_script(script_source("stamp"))

    async def take(self, room: int) -> list[DueDelivery]:
        """Up to `room` due deliveries, those of dead deliverers among them."""
        settings = self._settings
        now, *grants = await self._take(
            keys=[PREFIX],
            args=[
                room,
                settings.webhook_host_concurrency,
                self._lease_ms,
                settings.delivery_ttl_seconds * 1000,
            ],
        )
        return [_granted(grant, int(now)) for grant in grants]

    async def settle(
        self, due: DueDelivery, outcome: Outcome, entry: DeliveryAttempt, delay: float | None
    ) -> str:
        """Log an attempt and decide what follows; `delay` are the seconds to the next one, if any.

        Returns the delivery's state, or `lost` where another has it now.
        """
        reply = await self._settle(
            keys=[PREFIX],
            args=[
                due.id,
                due.attempt,
                outcome,
                "" if delay is None else round(delay * 1000),
                entry.model_dump_json(exclude_none=True),
                self._settings.delivery_ttl_seconds * 1000,
                PATIENCE_SECONDS * 1000,
            ],
        )
        return cast("str", reply)

    async def rest_of_job(self, job_id: str) -> Mapping[str, str]:
        """What a job's record says beyond the snapshot; empty once its files are gone."""
        names = ("spec", "warnings", "labeled", "result")
        reply = await self._redis.hmget(f"{PREFIX}job:{job_id}", names)
        values = cast("list[str | None]", reply)
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    async def wait(self, seconds: float) -> None:
        """Return as soon as something became due, or after `seconds`."""
        await self._redis.blpop([f"{PREFIX}wake:deliverer"], timeout=seconds)

    async def stamp(self, stamp: WorkerStamp) -> None:
        """Leave a sign of progress."""
        keep_ms = round(20 * self._settings.lease_seconds * 1000)
        await self._stamp(keys=[PREFIX], args=[self._owner, stamp.model_dump_json(), keep_ms])


def _granted(grant: list[Any], now_ms: int) -> DueDelivery:
    delivery_id, attempt, failures, event, job_id, created_at, url, secrets, about = grant
    return DueDelivery(
        id=delivery_id,
        attempt=int(attempt),
        failures=int(failures),
        event=event,
        job_id=job_id,
        happened_at=datetime.fromtimestamp(int(created_at) / 1000, UTC),
        url=url,
        secrets=tuple(secrets.split()),
        about=about,
        at=datetime.fromtimestamp(now_ms / 1000, UTC),
    )
