"""fal's signatures: Ed25519, by keys that fal publishes, fetched through the guard, kept a day."""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Mapping

import anyio
import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from api.inbound.message import Payload
from shared.errors import ErrorCode, GridscribeError
from shared.settings import Settings
from shared.url_guard import ForbiddenUrlError, UrlGuard, guarded_client
from shared.webhook_signature import TOLERANCE_SECONDS

_KEPT_SECONDS = 24 * 3600.0
_REFRESH_SECONDS = 300.0
"""At the earliest after which a signature by an unknown key has the keys fetched again."""
_MAX_BYTES = 64 * 1024
_TIMEOUT = 10.0
_PREFIX = "x-fal-webhook-"
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}", re.ASCII)


class _Key(Payload):
    kty: str = ""
    crv: str = ""
    x: str = ""


class _KeySet(Payload):
    keys: tuple[_Key, ...]


class FalKeys:
    def __init__(self, guard: UrlGuard, settings: Settings) -> None:
        self._guard = guard
        self._url = settings.fal_jwks_url
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at = -_KEPT_SECONDS
        self._fetching = anyio.Lock()

    async def verify(self, sender: str, headers: Mapping[str, str], body: bytes) -> None:
        """Raises `GridscribeError` UNAUTHENTICATED unless fal signed these very bytes just now, for
        the user `sender`; SERVICE_UNAVAILABLE where its keys cannot be had."""
        request_id, user_id, timestamp, signature = (
            headers.get(f"{_PREFIX}{name}", "")
            for name in ("request-id", "user-id", "timestamp", "signature")
        )
        if not (_TIMESTAMP.fullmatch(timestamp) and _SIGNATURE.fullmatch(signature)):
            raise _refused(f"{_PREFIX}timestamp or {_PREFIX}signature is missing or malformed")
        if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
            raise _refused(f"{_PREFIX}timestamp is more than {TOLERANCE_SECONDS} s from now")
        if user_id != sender:
            raise _refused(f"{_PREFIX}user-id is not the source's `sender`")
        digest = hashlib.sha256(body).hexdigest()
        message = "\n".join((request_id, user_id, timestamp, digest)).encode("latin-1", "replace")
        for max_age in (_KEPT_SECONDS, _REFRESH_SECONDS):
            for key in await self._current(max_age):
                try:
                    key.verify(bytes.fromhex(signature), message)
                except InvalidSignature:
                    continue
                return
        raise _refused(f"{_PREFIX}signature fits none of fal's keys")

    async def _current(self, max_age: float) -> tuple[Ed25519PublicKey, ...]:
        async with self._fetching:
            if time.monotonic() - self._fetched_at >= max_age:
                self._keys = await self._fetch()
                self._fetched_at = time.monotonic()
            return self._keys

    async def _fetch(self) -> tuple[Ed25519PublicKey, ...]:
        try:
            with anyio.fail_after(_TIMEOUT):
                async with (
                    guarded_client(self._guard, timeout=httpx.Timeout(_TIMEOUT)) as client,
                    client.stream("GET", self._guard.check_url(self._url)) as answer,
                ):
                    answer.raise_for_status()
                    data = b""
                    async for chunk in answer.aiter_bytes():
                        data += chunk
                        if len(data) > _MAX_BYTES:
                            raise _unavailable("they are larger than any set of keys")
            found = _KeySet.of(data)
            return tuple(map(_public_key, (key for key in found.keys if key.crv == "Ed25519")))
        except (httpx.HTTPError, ForbiddenUrlError, TimeoutError, ValueError) as error:
            raise _unavailable(type(error).__name__) from error
        except GridscribeError as error:
            raise _unavailable(error.detail) from error


def _public_key(key: _Key) -> Ed25519PublicKey:
    """RFC 8037, section 2."""
    try:
        raw = base64.urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
    except binascii.Error as error:
        raise ValueError("a key of the set is not base64") from error
    return Ed25519PublicKey.from_public_bytes(raw)


def _refused(detail: str) -> GridscribeError:
    return GridscribeError(ErrorCode.UNAUTHENTICATED, detail)


def _unavailable(why: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.SERVICE_UNAVAILABLE,
        f"fal's public keys cannot be had now ({why}); send the event again",
        retry_after=30,
    )
