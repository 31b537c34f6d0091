"""Tenants' sources, in Redis."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis.asyncio import Redis

from shared.errors import ErrorCode, GridscribeError
from shared.inbound_sources import Refusal, SourceCounts, SourceFields, SourceLogEntry
from shared.keyspace import PREFIX, script_source

MAX_SOURCES = 100
"""Of one tenant."""

KEEP = "="
"""In place of a secret: the one there is stays."""


@dataclass(frozen=True, slots=True)
class StoredSource:
    id: str
    tenant: str
    fields: SourceFields
    secret: str
    """Signatures need it as it is; of the others it is the SHA-256. Empty where there is none."""
    created_at: datetime
    counts: SourceCounts
    open_collections: int = 0
    last_event_at: datetime | None = None
    last_refusal: Refusal | None = None
    log: tuple[SourceLogEntry, ...] = ()


class SourceStore:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._save = redis.register_script(script_source("inbound", "save_source"))
        self._delete = redis.register_script(script_source("inbound", "delete_source"))

    async def create(self, tenant: str, source_id: str, fields: SourceFields, secret: str) -> None:
        """Raises `GridscribeError` QUOTA_EXCEEDED."""
        if await self._written(tenant, source_id, fields, secret, replaces=False) == "full":
            raise GridscribeError(
                ErrorCode.QUOTA_EXCEEDED,
                f"you have {MAX_SOURCES} sources, the most there may be; delete one first",
            )

    async def replace(self, tenant: str, source_id: str, fields: SourceFields, secret: str) -> None:
        """Raises `GridscribeError` SOURCE_NOT_FOUND. A `secret` of `KEEP` leaves the old one."""
        if await self._written(tenant, source_id, fields, secret, replaces=True) == "unknown":
            raise source_not_found(source_id)

    async def _written(
        self, tenant: str, source_id: str, fields: SourceFields, secret: str, *, replaces: bool
    ) -> str:
        kept = set(SourceFields.model_fields)
        record = fields.model_dump_json(include=kept, exclude_unset=True)
        reply = await self._save(
            keys=[PREFIX],
            args=[source_id, tenant, record, secret, int(replaces), MAX_SOURCES],
        )
        return str(reply)

    async def find(self, source_id: str) -> StoredSource | None:
        """Whoever's it is, without its log: to see whether an event is genuine."""
        stored = cast("dict[str, str]", await self._redis.hgetall(_key(source_id)))
        return _parsed(source_id, stored) if "record" in stored else None

    async def get(self, tenant: str, source_id: str) -> StoredSource:
        """Raises `GridscribeError` SOURCE_NOT_FOUND, also for another tenant's."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(_key(source_id))
            pipe.zcard(_key(source_id, "open"))
            pipe.lrange(_key(source_id, "log"), 0, -1)
            stored, open_collections, log = await pipe.execute()
        if stored.get("tenant") != tenant:
            raise source_not_found(source_id)
        return _parsed(source_id, stored, open_collections, log)

    async def list_sources(self, tenant: str) -> tuple[StoredSource, ...]:
        """The oldest first, without their logs."""
        ids = cast("list[str]", await self._redis.zrange(f"{PREFIX}sources:{tenant}", 0, -1))
        async with self._redis.pipeline(transaction=False) as pipe:
            for source_id in ids:
                pipe.hgetall(_key(source_id))
                pipe.zcard(_key(source_id, "open"))
            replies: list[Any] = await pipe.execute()
        return tuple(
            _parsed(source_id, stored, open_collections)
            for source_id, stored, open_collections in zip(
                ids, replies[::2], replies[1::2], strict=True
            )
            if "record" in stored
        )

    async def delete(self, tenant: str, source_id: str) -> None:
        """Forget it and what waits for it. Raises `GridscribeError` SOURCE_NOT_FOUND."""
        if not await self._delete(keys=[PREFIX], args=[source_id, tenant]):
            raise source_not_found(source_id)


def source_not_found(source_id: str) -> GridscribeError:
    return GridscribeError(ErrorCode.SOURCE_NOT_FOUND, f"there is no source {source_id[:64]!r}")


def _parsed(
    source_id: str,
    stored: Mapping[str, str],
    open_collections: int = 0,
    log: tuple[str, ...] | list[str] = (),
) -> StoredSource:
    counts = {name: int(stored.get(name, 0)) for name in SourceCounts.model_fields}
    refused_at = _moment(stored.get("refused_at"))
    return StoredSource(
        id=source_id,
        tenant=stored["tenant"],
        fields=SourceFields.model_validate_json(stored["record"], extra="ignore"),
        secret=stored.get("secret", ""),
        created_at=_moment(stored["created_at"]) or datetime.now(UTC),
        counts=SourceCounts(**counts),
        open_collections=open_collections,
        last_event_at=_moment(stored.get("event_at")),
        last_refusal=Refusal(at=refused_at, detail=stored["refusal"]) if refused_at else None,
        log=tuple(_log_entry(entry) for entry in log),
    )


def _log_entry(entry: str) -> SourceLogEntry:
    fields = {name: value for name, value in json.loads(entry).items() if value != ""}
    return SourceLogEntry(
        **{"job_id": "", **fields, "at": datetime.fromtimestamp(fields["at"] / 1000, UTC)}
    )


def _moment(milliseconds: str | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _key(source_id: str, part: str = "") -> str:
    return f"{PREFIX}source:{source_id}" + (f":{part}" if part else "")
