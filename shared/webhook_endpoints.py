"""Tenants' webhook endpoints in the store: made, listed, changed, tried out, removed."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis
from uuid6 import uuid7

from shared.errors import ErrorCode, GridscribeError
from shared.keyspace import PREFIX, script_source
from shared.settings import Settings
from shared.webhook_signature import new_secret
from shared.webhooks import (
    TEST_EVENT,
    NewlyMadeEndpoint,
    NewWebhookEndpoint,
    RotatedSecret,
    WebhookEndpoint,
    WebhookEndpointChange,
    host_of,
)

_ID = re.compile(r"[0-9a-f-]{36}", re.ASCII)

MAX_ENDPOINTS = 20
"""Of one tenant: every event of every job is offered to each."""


class EndpointStore:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time, and
    `GridscribeError` ENDPOINT_NOT_FOUND for an endpoint of nobody or of another tenant.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keep_ms = settings.delivery_ttl_seconds * 1000
        self._save = redis.register_script(script_source("save_endpoint"))
        self._change = redis.register_script(script_source("change_endpoint"))
        self._rotate = redis.register_script(script_source("rotate_secret"))
        self._delete = redis.register_script(script_source("delete_endpoint"))
        self._test = redis.register_script(script_source("test_endpoint"))

    async def create(self, tenant: str, given: NewWebhookEndpoint) -> NewlyMadeEndpoint:
        """Raises `GridscribeError` QUOTA_EXCEEDED."""
        endpoint_id, secret = str(uuid7()), new_secret()
        fields = {**_stored(given), "secret": secret}
        outcome = await self._save(
            keys=[PREFIX], args=[endpoint_id, tenant, MAX_ENDPOINTS, json.dumps(fields)]
        )
        if outcome == "full":
            raise GridscribeError(
                ErrorCode.QUOTA_EXCEEDED,
                f"you have {MAX_ENDPOINTS} webhook endpoints, the most there may be; delete one"
                " first",
            )
        made = await self.get(tenant, endpoint_id)
        return NewlyMadeEndpoint(**dict(made), secret=secret)

    async def of_tenant(self, tenant: str) -> tuple[WebhookEndpoint, ...]:
        """The oldest first."""
        ids = cast("list[str]", await self._redis.zrange(f"{PREFIX}endpoints:{tenant}", 0, -1))
        async with self._redis.pipeline(transaction=False) as pipe:
            for endpoint_id in ids:
                pipe.hgetall(_key(endpoint_id))
            return tuple(_parsed(fields) for fields in await pipe.execute() if fields)

    async def get(self, tenant: str, endpoint_id: str) -> WebhookEndpoint:
        fields = cast("dict[str, str]", await self._redis.hgetall(_key(endpoint_id)))
        if fields.get("tenant") != tenant:
            raise _not_found(endpoint_id)
        return _parsed(fields)

    async def change(
        self, tenant: str, endpoint_id: str, change: WebhookEndpointChange
    ) -> WebhookEndpoint:
        disabled = "" if change.disabled is None else int(change.disabled)
        fields = json.dumps(_stored(change))
        if not await self._change(
            keys=[PREFIX], args=[_checked(endpoint_id), tenant, fields, disabled]
        ):
            raise _not_found(endpoint_id)
        return await self.get(tenant, endpoint_id)

    async def rotate_secret(
        self, tenant: str, endpoint_id: str, overlap_seconds: int
    ) -> RotatedSecret:
        """A new secret; the one before goes on signing beside it for `overlap_seconds`."""
        secret = new_secret()
        until = await self._rotate(
            keys=[PREFIX], args=[_checked(endpoint_id), tenant, secret, overlap_seconds * 1000]
        )
        if until is None:
            raise _not_found(endpoint_id)
        return RotatedSecret(secret=secret, previous_secret_expires_at=_moment(until))

    async def delete(self, tenant: str, endpoint_id: str) -> None:
        """Nothing more is sent there."""
        if not await self._delete(
            keys=[PREFIX], args=[_checked(endpoint_id), tenant, self._keep_ms]
        ):
            raise _not_found(endpoint_id)

    async def test(self, tenant: str, endpoint_id: str) -> str:
        """Send a message of no job; the id of its delivery. Raises also ENDPOINT_DISABLED."""
        about = json.dumps({"endpoint_id": endpoint_id})
        outcome = await self._test(
            keys=[PREFIX], args=[_checked(endpoint_id), tenant, TEST_EVENT, about]
        )
        if outcome is None:
            raise _not_found(endpoint_id)
        if outcome == "disabled":
            known = await self.get(tenant, endpoint_id)
            raise endpoint_disabled(known.disabled_reason)
        return cast("str", outcome)


def endpoint_disabled(reason: str | None) -> GridscribeError:
    return GridscribeError(
        ErrorCode.ENDPOINT_DISABLED,
        f"the webhook endpoint is disabled: {reason or 'it was just now'}; enable it with PATCH"
        ' {"disabled": false}',
    )


def _stored(given: NewWebhookEndpoint | WebhookEndpointChange) -> dict[str, str]:
    fields: dict[str, str] = {}
    if given.url is not None:
        fields |= {"url": given.url, "host": host_of(given.url)}
    if given.events is not None:
        fields["events"] = " ".join(given.events)
    if given.description is not None:
        fields["description"] = given.description
    return fields


def _parsed(fields: Mapping[str, str]) -> WebhookEndpoint:
    def moment(name: str) -> datetime | None:
        return _moment(fields[name]) if name in fields else None

    return WebhookEndpoint.model_validate(
        {
            "id": fields["id"],
            "url": fields["url"],
            "events": fields["events"].split(),
            "description": fields.get("description", ""),
            "created_at": moment("created_at"),
            "disabled": "disabled_at" in fields,
            "disabled_reason": fields.get("disabled_reason"),
            "disabled_at": moment("disabled_at"),
            "failing_since": moment("failing_since"),
            "previous_secret_expires_at": moment("old_secret_until"),
        }
    )


def _moment(milliseconds: str | int) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _key(endpoint_id: str) -> str:
    return f"{PREFIX}endpoint:{_checked(endpoint_id)}"


def _checked(endpoint_id: str) -> str:
    """Only an id that could be ours becomes a part of a key."""
    if not _ID.fullmatch(endpoint_id):
        raise _not_found(endpoint_id)
    return endpoint_id


def _not_found(endpoint_id: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.ENDPOINT_NOT_FOUND, f"there is no webhook endpoint {endpoint_id[:64]!r}"
    )
