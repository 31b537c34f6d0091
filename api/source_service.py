"""Sources of events: made, changed, shown. Their secrets are shown once."""

import secrets
from uuid import UUID

from uuid6 import uuid7

from shared.api_keys import digest_of
from shared.inbound_sources import (
    Source,
    SourceAuth,
    SourceFields,
    SourceList,
    SourceRequest,
    SourceWithSecret,
)
from shared.source_store import KEEP, SourceStore, StoredSource, source_not_found
from shared.spec_placeholders import sampled
from shared.url_guard import UrlGuard
from shared.webhook_signature import new_secret
from shared.webhooks import check_receiver


class SourceService:
    def __init__(self, store: SourceStore, guard: UrlGuard) -> None:
        self._store = store
        self._guard = guard

    async def create(self, tenant: str, request: SourceRequest, base_url: str) -> SourceWithSecret:
        """Raises `GridscribeError` URL_NOT_ALLOWED or QUOTA_EXCEEDED."""
        self._check_webhook(request)
        secret = request.secret if "secret" in request.model_fields_set else _new(request)
        source_id = str(uuid7())
        await self._store.create(tenant, source_id, request, _stored(request, secret))
        return await self._shown(tenant, source_id, secret, base_url)

    async def replace(
        self, tenant: str, source_id: str, request: SourceRequest, base_url: str
    ) -> SourceWithSecret:
        """Raises `GridscribeError` URL_NOT_ALLOWED or SOURCE_NOT_FOUND."""
        self._check_webhook(request)
        earlier = await self._store.get(tenant, checked_source_id(source_id))
        if "secret" in request.model_fields_set:
            secret, stored = request.secret, _stored(request, request.secret)
        elif earlier.fields.authentication is request.authentication:
            secret, stored = None, KEEP
        else:  # the old one has not the form that is wanted now
            secret = _new(request)
            stored = _stored(request, secret)
        await self._store.replace(tenant, source_id, request, stored)
        return await self._shown(tenant, source_id, secret, base_url)

    async def rotate_secret(self, tenant: str, source_id: str, base_url: str) -> SourceWithSecret:
        """A new secret; the old one is refused at once. Raises `GridscribeError`
        SOURCE_NOT_FOUND."""
        fields = (await self._store.get(tenant, checked_source_id(source_id))).fields
        secret = _new(fields)
        await self._store.replace(tenant, source_id, fields, _stored(fields, secret))
        return await self._shown(tenant, source_id, secret, base_url)

    async def get(self, tenant: str, source_id: str, base_url: str) -> Source:
        """Raises `GridscribeError` SOURCE_NOT_FOUND."""
        return Source(
            **_view(await self._store.get(tenant, checked_source_id(source_id)), base_url)
        )

    async def list_sources(self, tenant: str, base_url: str) -> SourceList:
        found = await self._store.list_sources(tenant)
        return SourceList(data=tuple(Source(**_view(source, base_url)) for source in found))

    async def delete(self, tenant: str, source_id: str) -> None:
        """Raises `GridscribeError` SOURCE_NOT_FOUND."""
        await self._store.delete(tenant, checked_source_id(source_id))

    def _check_webhook(self, request: SourceRequest) -> None:
        webhook = sampled(request.spec).webhook
        if webhook is not None:
            check_receiver(self._guard, webhook.url, "spec.webhook.url")

    async def _shown(
        self, tenant: str, source_id: str, secret: str | None, base_url: str
    ) -> SourceWithSecret:
        source = await self._store.get(tenant, source_id)
        return SourceWithSecret(**_view(source, base_url), secret=secret)


def checked_source_id(source_id: str) -> str:
    """Only an id that could be ours becomes a part of a key; else raises SOURCE_NOT_FOUND."""
    try:
        if str(UUID(source_id)) == source_id:
            return source_id
    except ValueError:
        pass
    raise source_not_found(source_id)


def _view(source: StoredSource, base_url: str) -> dict[str, object]:
    return {
        **{name: getattr(source.fields, name) for name in SourceFields.model_fields},
        "id": source.id,
        "auth": source.fields.authentication,
        "spec": source.fields.spec.with_webhook_secret(None),
        "created_at": source.created_at,
        "url": f"{base_url}/v1/inbound/{source.id}",
        "has_secret": bool(source.secret),
        "counts": source.counts,
        "open_collections": source.open_collections,
        "last_event_at": source.last_event_at,
        "last_refusal": source.last_refusal,
        "log": source.log,
    }


def _new(fields: SourceFields) -> str | None:
    match fields.authentication:
        case SourceAuth.ED25519:
            return None
        case SourceAuth.SIGNATURE:
            return new_secret()
        case _:
            return f"gsi_{secrets.token_urlsafe(32)}"


def _stored(fields: SourceFields, secret: str | None) -> str:
    """A signature can only be checked with the secret itself; else its digest does."""
    if secret is None:
        return ""
    return secret if fields.authentication is SourceAuth.SIGNATURE else digest_of(secret)
