"""API keys: made, listed and revoked here; checked by `shared/lua/admit.lua`.

Only the SHA-256 of a key is kept. A slow password hash would add nothing: the secret is 256 random
bits, so nobody can try them all, and every request pays for the hash. The digest is also the name
under which a key is looked up, so no stored secret is ever compared with a caller's guess, whose
timing could tell of it.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import cast

from pydantic import BaseModel, ConfigDict
from redis import Redis

from shared.keyspace import PREFIX
from shared.tenants import TenantName

KEYS = f"{PREFIX}api_keys"
"""A Redis hash: digest of a key to `ApiKey`."""

_MARK = "gsk_"
_SHOWN = len(_MARK) + 8


class ApiKey(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(frozen=True)

    prefix: str
    """Its first characters, by which its owner recognises it."""
    tenant: TenantName
    name: str = ""
    created_at: float
    """Seconds of Redis's clock."""
    expires_at: float | None = None
    """Seconds of Redis's clock; None is never."""

    @property
    def created(self) -> datetime:
        return datetime.fromtimestamp(self.created_at, UTC)

    @property
    def expires(self) -> datetime | None:
        return None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeys:
    """Raises `redis.RedisError` when the store cannot be reached."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def create(
        self, tenant: str, name: str = "", lifetime: timedelta | None = None
    ) -> tuple[str, ApiKey]:
        """A new key, good from now on, and what is kept of it. It cannot be shown again.

        Raises `pydantic.ValidationError` for a tenant's name that cannot be one.
        """
        secret = _MARK + secrets.token_urlsafe(32)
        now = self._redis.time()[0]
        key = ApiKey(
            prefix=secret[:_SHOWN],
            tenant=tenant,
            name=name,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime.total_seconds(),
        )
        self._redis.hset(KEYS, digest_of(secret), key.model_dump_json())
        return secret, key

    def find(self, tenant: str | None = None) -> list[ApiKey]:
        """The oldest first; expired ones too."""
        return sorted(
            (key for _, key in self._stored() if tenant in (None, key.tenant)),
            key=lambda key: key.created_at,
        )

    def revoke(self, prefix: str, tenant: str | None = None) -> list[ApiKey]:
        """Refuse from now on every key that begins with `prefix`, which may be a whole key.

        Returns the revoked ones; a prefix shorter than the shown one matches nothing.
        """
        found = [
            (digest, key)
            for digest, key in self._stored()
            if key.prefix == prefix[:_SHOWN] and tenant in (None, key.tenant)
        ]
        if found:
            self._redis.hdel(KEYS, *(digest for digest, _ in found))
        return [key for _, key in found]

    def _stored(self) -> list[tuple[str, ApiKey]]:
        stored = cast("dict[str, str]", self._redis.hgetall(KEYS))
        return [(digest, ApiKey.model_validate_json(value)) for digest, value in stored.items()]
