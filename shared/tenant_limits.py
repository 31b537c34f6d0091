"""What one tenant may use: the deployment's limits, and those the operator set for it alone.

They are counted by the scripts that admit requests and accept files (`shared/lua`).
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import cast

from redis import Redis

from shared.errors import ErrorCode, GridscribeError
from shared.keyspace import PREFIX
from shared.settings import Settings


class TenantLimit(StrEnum):
    REQUESTS_PER_MINUTE = "requests_per_minute"
    IMAGES_PER_DAY = "images_per_day"
    BYTES_PER_DAY = "bytes_per_day"
    QUEUED_JOBS = "queued_jobs"
    """Queued or running at once."""


class TenantLimits:
    """A tenant's own limits. Raises `redis.RedisError` when the store cannot be reached."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def get(self, tenant: str) -> dict[TenantLimit, int]:
        """Those that differ from everybody's."""
        stored = cast("dict[str, str]", self._redis.hgetall(_key(tenant)))
        return {TenantLimit(name): int(value) for name, value in stored.items()}

    def set(self, tenant: str, limits: Mapping[TenantLimit, int]) -> None:
        """Change these and leave the others; they hold from the next request on."""
        self._redis.hset(_key(tenant), mapping={name.value: limits[name] for name in limits})

    def reset(self, tenant: str) -> None:
        """Back to everybody's limits."""
        self._redis.delete(_key(tenant))


def daily_quotas(settings: Settings) -> str:
    """Everybody's, as the scripts take them."""
    return json.dumps({"images": settings.images_per_day, "bytes": settings.bytes_per_day})


def quota_error(over: Sequence[str | int]) -> GridscribeError:
    """What to tell a caller of a script's answer: quota, its limit, seconds until it ends."""
    name, limit, seconds = over
    return GridscribeError(
        ErrorCode.QUOTA_EXCEEDED,
        f"this would be more than the {int(limit):,} {name} that you may store in a day; the next"
        " day begins at 00:00 UTC",
        retry_after=int(seconds),
    )


def _key(tenant: str) -> str:
    return f"{PREFIX}limits:{tenant}"
