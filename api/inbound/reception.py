"""Events on their way in: known to be genuine, understood, and kept before they are answered."""

import contextlib
import logging
from dataclasses import replace
from uuid import UUID

from redis.exceptions import RedisError
from uuid6 import uuid7

from api.inbound.adapters import ADAPTERS
from api.inbound.authentication import Authentication
from api.inbound.message import Message
from shared.errors import ErrorCode, GridscribeError
from shared.inbound_collections import CollectionStore, InboundEvent, Taken
from shared.inbound_sources import Receipt, SourceAuth
from shared.source_store import SourceStore, StoredSource, source_not_found

_TOLD = frozenset({ErrorCode.UNAUTHENTICATED, ErrorCode.INVALID_REQUEST})
"""Refusals that the source's owner is told of."""

_log = logging.getLogger(__name__)


class Reception:
    """Raises the store's own errors when it cannot be reached: then nothing is answered for."""

    def __init__(
        self, sources: SourceStore, collections: CollectionStore, authentication: Authentication
    ) -> None:
        self._sources = sources
        self._collections = collections
        self._authentication = authentication

    async def find(self, source_id: str) -> StoredSource:
        """Raises `GridscribeError` SOURCE_NOT_FOUND, also for one that has no secret."""
        source = None
        with contextlib.suppress(ValueError):
            if str(UUID(source_id)) == source_id:  # nothing else becomes a part of a key
                source = await self._sources.find(source_id)
        if source is None or not _can_authenticate(source):
            raise source_not_found(source_id)
        return source

    async def receive(self, source: StoredSource, message: Message) -> Receipt:
        """Keep what `message` brings; it is worked on later.

        Raises `GridscribeError` UNAUTHENTICATED, INVALID_REQUEST, RATE_LIMITED, QUOTA_EXCEEDED, or
        SERVICE_UNAVAILABLE.
        """
        try:
            message = await self._authentication.check(source, message)
            events = ADAPTERS[source.fields.adapter](message, source.fields)
        except GridscribeError as error:
            if error.code in _TOLD:
                await self._tell_refusal(source, error)
            raise
        counts = dict.fromkeys(Receipt.model_fields, 0)
        for position, event in enumerate(events):
            if message.signed_id:  # headers of a binary event are not signed, this one is
                keys = (*event.keys, f"webhook-id\n{message.signed_id}\n{position}")
                event = replace(event, keys=keys)
            taken = await self._take(source, event, charge=position == 0)
            counts[taken.outcome] += 1
        return Receipt(**counts)

    async def _take(self, source: StoredSource, event: InboundEvent, *, charge: bool) -> Taken:
        taken = await self._collections.take(
            source.id,
            source.fields.adapter,
            event,
            new_id=str(uuid7()),
            quiet_seconds=source.fields.quiet_seconds,
            shared=source.fields.gather == "quiet",
            charge=charge,
        )
        seconds = -(-taken.wait_ms // 1000)
        match taken.outcome:
            case "unknown":  # deleted since it was found
                raise source_not_found(source.id)
            case "limited":
                raise GridscribeError(
                    ErrorCode.RATE_LIMITED,
                    "too many requests a minute; go on after the pause that Retry-After names",
                    retry_after=seconds,
                )
            case "full":
                raise GridscribeError(
                    ErrorCode.QUOTA_EXCEEDED,
                    "too much waits for this tenant's grids already; send the event again after"
                    " the pause that Retry-After names",
                    retry_after=seconds,
                )
        if taken.outcome == "accepted" and event.ends == "failed":
            _log.warning("render %r of source %s failed: %s", event.job_id, source.id, event.detail)
        return taken

    async def _tell_refusal(self, source: StoredSource, error: GridscribeError) -> None:
        # The sender must hear of the error that led here, whatever becomes of telling it on.
        with contextlib.suppress(RedisError, OSError):
            await self._collections.refuse(source.id, source.fields.adapter, error.detail[:500])


def _can_authenticate(source: StoredSource) -> bool:
    return bool(source.secret) or source.fields.authentication is SourceAuth.ED25519
