"""Whether a message is genuine: over its raw bytes, in constant time, before it is parsed.

What is refused says which part of the message was wrong, and nothing of the secret.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import replace

from api.inbound.fal_keys import FalKeys
from api.inbound.message import Message
from shared.api_keys import digest_of
from shared.errors import ErrorCode, GridscribeError
from shared.inbound_sources import SourceAuth
from shared.source_store import StoredSource
from shared.webhook_signature import InvalidSignatureError, verify


class Authentication:
    def __init__(self, fal_keys: FalKeys) -> None:
        self._fal_keys = fal_keys

    async def check(self, source: StoredSource, message: Message) -> Message:
        """`message` with what its signature covers noted.

        Raises `GridscribeError` UNAUTHENTICATED, or SERVICE_UNAVAILABLE where fal's keys cannot be
        had.
        """
        headers = message.headers
        match source.fields.authentication:
            case SourceAuth.SIGNATURE:
                try:
                    signed = verify([source.secret], headers, message.body)
                except InvalidSignatureError as error:
                    raise refused(str(error)) from error
                return replace(message, signed_id=signed.id)
            case SourceAuth.ED25519:
                await self._fal_keys.verify(source.fields.sender or "", headers, message.body)
            case SourceAuth.BEARER:
                given = _credentials(headers, "bearer")
                _compare(source, given, "Authorization has another token than the source's")
            case SourceAuth.BASIC:
                _compare(source, _password(headers), "Authorization has another password")
            case SourceAuth.API_KEY:
                key = headers.get("x-api-key")
                _compare(source, key, "X-Api-Key is missing or is not the source's secret")
            case SourceAuth.LINK:
                _compare(source, message.link_secret, "the address does not hold the secret")
        return message


def refused(detail: str) -> GridscribeError:
    return GridscribeError(ErrorCode.UNAUTHENTICATED, detail)


def _compare(source: StoredSource, given: str | None, otherwise: str) -> None:
    if given is None or not hmac.compare_digest(digest_of(given), source.secret):
        raise refused(otherwise)


def _credentials(headers: Mapping[str, str], scheme: str) -> str:
    kind, _, credentials = headers.get("authorization", "").partition(" ")
    if kind.lower() != scheme or not credentials:
        raise refused(f"send 'Authorization: {scheme.capitalize()} ...' with the source's secret")
    return credentials.strip()


def _password(headers: Mapping[str, str]) -> str:
    try:
        decoded = base64.b64decode(_credentials(headers, "basic"), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise refused("Authorization: Basic is not base64 of a name and a password") from error
    return decoded.partition(":")[2]
