"""The log of deliveries, as their owners read it."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis

from shared.errors import ErrorCode, GridscribeError
from shared.keyspace import PREFIX, script_source
from shared.list_cursor import cursor_of, place_of
from shared.webhook_endpoints import endpoint_disabled
from shared.webhooks import Delivery, DeliveryAttempt, DeliveryList, DeliveryUrls

_ID = re.compile(r"msg_[0-9a-f]{32}", re.ASCII)


class DeliveryLog:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._redeliver = redis.register_script(script_source("redeliver"))

    async def of_job(
        self, job_id: str, limit: int, cursor: str | None, base_url: str
    ) -> DeliveryList:
        """A page of those of a job that was seen to be the caller's, the newest first.

        Raises `GridscribeError` INVALID_REQUEST for a cursor that no page gave.
        """
        return await self._page(f"{PREFIX}job:{job_id}:deliveries", limit, cursor, base_url)

    async def of_endpoint(
        self, endpoint_id: str, limit: int, cursor: str | None, base_url: str
    ) -> DeliveryList:
        """The same of an endpoint that was seen to be the caller's."""
        return await self._page(
            f"{PREFIX}endpoint:{endpoint_id}:deliveries", limit, cursor, base_url
        )

    async def get(self, tenant: str, delivery_id: str, base_url: str) -> Delivery:
        """Raises `GridscribeError` DELIVERY_NOT_FOUND."""
        (found,) = await self._read([_checked(delivery_id)])
        fields, attempts = found
        if fields.get("tenant") != tenant:
            raise _not_found(delivery_id)
        return _parsed(fields, attempts, base_url)

    async def redeliver(self, tenant: str, delivery_id: str) -> None:
        """Begin it anew, with the schedule's first attempt now.

        Raises `GridscribeError`: DELIVERY_NOT_FOUND, ENDPOINT_NOT_FOUND or ENDPOINT_DISABLED.
        """
        match await self._redeliver(keys=[PREFIX], args=[_checked(delivery_id), tenant]):
            case "unknown":
                raise _not_found(delivery_id)
            case "deleted":
                raise GridscribeError(
                    ErrorCode.ENDPOINT_NOT_FOUND, "the delivery's webhook endpoint was deleted"
                )
            case "disabled":
                raise endpoint_disabled("its owner has not enabled it again")

    async def _page(
        self, index: str, limit: int, cursor: str | None, base_url: str
    ) -> DeliveryList:
        places, is_last = await self._places(index, limit, cursor)
        found = await self._read([delivery_id for delivery_id, _ in places])
        return DeliveryList(
            data=tuple(
                _parsed(fields, attempts, base_url)
                for fields, attempts in found
                if fields  # its log may have expired
            ),
            next_cursor=None if is_last else cursor_of(int(places[-1][1]), places[-1][0]),
        )

    async def _places(
        self, index: str, limit: int, cursor: str | None
    ) -> tuple[list[tuple[str, float]], bool]:
        """Ids and times behind the cursor, and whether no more are there. The entry that the cursor
        names may be gone: what counts is its place."""
        at, last = (math.inf, "") if cursor is None else place_of(cursor)
        places: list[tuple[str, float]] = []
        for offset in itertools.count(0, limit + 1):
            reply = await self._redis.zrange(
                index,
                cast("int", at),  # the library's type; it passes on whatever is a number
                "-inf",
                byscore=True,
                desc=True,
                offset=offset,
                num=limit + 1,
                withscores=True,
            )
            batch = cast("list[tuple[str, float]]", reply)
            # Those of one moment stand in the order of their ids.
            places += [(it, when) for it, when in batch if when < at or it < last]
            if len(places) > limit or len(batch) <= limit:
                break
        return places[:limit], len(places) <= limit

    async def _read(self, ids: Sequence[str]) -> list[tuple[dict[str, str], list[str]]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for delivery_id in ids:
                pipe.hgetall(f"{PREFIX}delivery:{delivery_id}")
                pipe.lrange(f"{PREFIX}delivery:{delivery_id}:attempts", 0, -1)
            replies = await pipe.execute()
        return list(zip(replies[::2], replies[1::2], strict=True))


def _parsed(fields: Mapping[str, str], attempts: Sequence[str], base_url: str) -> Delivery:
    def moment(name: str) -> datetime | None:
        value = fields.get(name)
        return datetime.fromtimestamp(int(value) / 1000, UTC) if value else None

    url = f"{base_url}/v1/deliveries/{fields['id']}"
    return Delivery.model_validate(
        {
            "id": fields["id"],
            "type": fields["type"],
            "job_id": fields["job"] or None,
            "endpoint_id": fields["endpoint"] or None,
            "url": fields["url"],
            "state": fields["state"],
            "reason": fields.get("reason"),
            "created_at": moment("created_at"),
            "next_attempt_at": moment("next_attempt_at"),
            "ended_at": moment("ended_at"),
            "attempts": [DeliveryAttempt.model_validate_json(it) for it in attempts],
            "urls": DeliveryUrls(self=url, redeliver=f"{url}/redeliver"),
        }
    )


def _checked(delivery_id: str) -> str:
    """Only an id that could be ours becomes a part of a key."""
    if not _ID.fullmatch(delivery_id):
        raise _not_found(delivery_id)
    return delivery_id


def _not_found(delivery_id: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.DELIVERY_NOT_FOUND,
        f"there is no delivery {delivery_id[:64]!r}, or its log has expired",
    )
