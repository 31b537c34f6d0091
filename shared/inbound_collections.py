"""What comes from sources, as the store keeps it: events taken once, frames gathered job by job."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import Field, JsonValue
from redis.asyncio import Redis

from shared.inbound_sources import SourceOutcome
from shared.job_spec import StrictModel
from shared.keyspace import PREFIX, script_source
from shared.settings import MEBIBYTE, Settings

MAX_OPEN = 1000
"""Collections of one source at once."""
MAX_BYTES = 64 * MEBIBYTE
"""Of frames that wait in the store for one tenant's grids: mostly pictures inside events."""
_MAX_SEEN = 100_000
_SETTLE_SECONDS = 3.0
"""How long frames may come after the end of their job, where nobody said how many there are."""
_FAILED_SECONDS = 60.0
"""How long frames may come after the failure of their job."""
_FULL_RETRY_SECONDS = 60.0


class Output(StrictModel):
    """A picture as an event names it: by `url`, which may be a path, or inside, as base64."""

    url: str | None = None
    data: str | None = None
    name: str | None = None
    label: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class Frame(StrictModel):
    """What one event brought that a later one with the same key replaces."""

    key: str
    number: int | None = None
    is_position: bool = False
    """The number only says which came first; it is none of the sender's."""
    at_ms: int = 0
    """When the sender says that it was rendered; 0 where it does not."""
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """One event, whoever sent it. With neither frames nor an end it is nothing to act on."""

    keys: tuple[str, ...]
    """It is a repeat where one of them was seen before."""
    job_id: str = ""
    """The sender's."""
    name: str = ""
    """Of the job, to be read."""
    frames: tuple[Frame, ...] = ()
    ends: Literal["", "finished", "failed"] = ""
    expected: int = 0
    """How many frames the job has; 0 where the event does not tell."""
    detail: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an event."""

    outcome: str
    """`accepted`, `duplicate`, `ignored`; or refused: `unknown`, `limited`, `full`."""
    wait_ms: int = 0
    """After which a refused one may pass."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Frames of one job, leased to this process."""

    id: str
    source_id: str
    tenant: str
    job_id: str
    name: str
    frames: tuple[Frame, ...]
    left_out: int
    """Frames that were more than a job may have images."""
    attempts: int
    age_seconds: float


class CollectionStore:
    """Raises `redis.RedisError` or `OSError` when the store does not answer in time."""

    def __init__(self, redis: Redis, settings: Settings, owner: str) -> None:
        """`owner` names this process, as no other does."""
        self._redis = redis
        self._settings = settings
        self._owner = owner
        self._take = redis.register_script(script_source("inbound", "take_event"))
        self._refuse = redis.register_script(script_source("inbound", "refuse_event"))
        self._claim = redis.register_script(script_source("inbound", "claim_collections"))
        self._defer = redis.register_script(script_source("inbound", "defer_collection"))
        self._close = redis.register_script(script_source("inbound", "close_collection"))

    async def take(
        self,
        source_id: str,
        adapter: str,
        event: InboundEvent,
        *,
        new_id: str,
        quiet_seconds: float,
        shared: bool,
        charge: bool,
    ) -> Taken:
        """Keep what an authenticated event brought, for good.

        `new_id` is of the collection that it opens if there is none, `shared` says that all jobs of
        the source share one, and `charge` counts a request of the tenant.
        """
        settings = self._settings
        job = "" if shared else event.job_id
        fields = {
            "keys": [_digest(key) for key in event.keys],
            "job": job or event.job_id,
            "job_key": _digest(job),
            "name": event.name,
            "ends": "" if shared and event.ends == "finished" else event.ends,
            "shared": shared,
            "expected": 0 if shared else event.expected,
            "detail": event.detail,
            "frames": [
                {
                    "key": _digest(f"{event.job_id if shared else ''}\n{frame.key}"),
                    "at": frame.at_ms,
                    "value": frame.model_dump_json(exclude_unset=True),
                }
                for frame in event.frames
            ],
        }
        limits = {
            "requests_per_minute": settings.requests_per_minute if charge else 0,
            "ttl_ms": settings.inbound_ttl_seconds * 1000,
            "seen": _MAX_SEEN,
            "failed_ms": round(_FAILED_SECONDS * 1000),
            "bytes": MAX_BYTES,
            "open": MAX_OPEN,
            "frames": settings.max_images,
            "quiet_ms": round(quiet_seconds * 1000),
            "settle_ms": round(_SETTLE_SECONDS * 1000),
            "retry_ms": round(_FULL_RETRY_SECONDS * 1000),
        }
        reply = await self._take(
            keys=[PREFIX],
            args=[source_id, adapter, json.dumps(fields), new_id, json.dumps(limits)],
        )
        outcome, wait_ms = cast("tuple[str, int]", reply)
        return Taken(outcome, wait_ms)

    async def refuse(self, source_id: str, adapter: str, detail: str) -> None:
        """Tell the source's owner that something came that was not taken."""
        await self._refuse(keys=[PREFIX], args=[source_id, adapter, detail])

    async def claim(self, most: int) -> tuple[Collection, ...]:
        """Up to `most` collections that are due, leased to this process for `lease_seconds`."""
        ids = await self._claim(
            keys=[PREFIX], args=[self._owner, round(self._settings.lease_seconds * 1000), most]
        )
        claimed = []
        for collection_id in cast("list[str]", ids):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.time()
                pipe.hgetall(f"{PREFIX}collection:{collection_id}")
                pipe.hvals(f"{PREFIX}collection:{collection_id}:frames")
                (seconds, _), record, values = await pipe.execute()
            if record:  # its source may have been deleted since
                claimed.append(_collection(collection_id, record, values, seconds))
        return tuple(claimed)

    async def beat(self, collection: Collection) -> bool:
        """Keep the lease; False where another process has it by now."""
        return await self.retry(collection, self._settings.lease_seconds)

    async def retry(
        self, collection: Collection, seconds: float, *, forgiven: bool = False
    ) -> bool:
        """Look at it again after `seconds`; where it was none of its fault, count from one anew."""
        reply = await self._defer(
            keys=[PREFIX],
            args=[collection.id, self._owner, round(seconds * 1000), int(forgiven)],
        )
        return bool(reply)

    async def close(
        self, collection: Collection, outcome: SourceOutcome, detail: str, grid_job_id: str = ""
    ) -> bool:
        """Forget its frames and log how it ended; False where another process has it by now."""
        args = [collection.id, self._owner, outcome.value, detail, grid_job_id]
        return bool(await self._close(keys=[PREFIX], args=args))


def _collection(
    collection_id: str, record: Mapping[str, Any], values: list[str], now: float
) -> Collection:
    frames = [
        Frame.model_validate_json(value.partition("|")[2], extra="ignore") for value in values
    ]
    return Collection(
        id=collection_id,
        source_id=record["source"],
        tenant=record["tenant"],
        job_id=record["job"],
        name=record.get("name", ""),
        frames=tuple(sorted(frames, key=_place)),
        left_out=int(record["left_out"]),
        attempts=int(record["attempts"]),
        age_seconds=now - int(record["opened_at"]) / 1000,
    )


def _place(frame: Frame) -> tuple[bool, int, str]:
    """Numbered frames by their numbers, the others behind them by name."""
    return (frame.number is None, frame.number or 0, frame.key)


def _digest(text: str) -> str:
    """What a sender wrote never becomes a part of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
