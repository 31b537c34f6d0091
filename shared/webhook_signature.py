"""Signatures of webhooks, as Standard Webhooks 1.0 has them, in both directions.

The library `standardwebhooks` 1.1.0 does the cryptography. Three things it leaves open are closed
here: it signs an aware time that is not UTC wrongly, lets errors of parsing out on hostile input,
and takes ids with a dot, which make one signature fit two messages.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

TOLERANCE_SECONDS = 300
"""How far from now the time of a message may be."""

_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_ID = re.compile(r"[\w:-]{1,255}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_SIGNATURES = re.compile(r"[\w+/=,]{1,100}( [\w+/=,]{1,100}){0,9}", re.ASCII)


class InvalidSignatureError(Exception):
    """The message was not signed with the secret, or not now; says which header is wrong."""


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """What the headers of a message say that was verified."""

    id: str
    """The same for every attempt at one message: to drop those that come twice."""
    timestamp: datetime


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """`secret`, if it can be one; raises `ValueError`, which does not repeat it."""
    encoded = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if encoded == secret or len(key) not in _KEY_BYTES:
        raise ValueError("write whsec_ and the base64 of 24 to 64 random bytes")
    return secret


WebhookSecret = Annotated[str, StringConstraints(max_length=100), AfterValidator(check_secret)]


def signed_headers(
    secrets_in_use: Sequence[str], message_id: str, body: bytes, at: datetime
) -> dict[str, str]:
    """The three headers of one attempt, with a signature by each secret, the newest first.

    `body` is UTF-8 and `at` an aware time. Raises `ValueError` where they are not.
    """
    if not _ID.fullmatch(message_id):
        raise ValueError(f"{message_id!r} cannot be the id of a message")
    if at.tzinfo is None:
        raise ValueError("the time of an attempt needs its zone")
    moment, text = at.astimezone(UTC), body.decode()
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(int(moment.timestamp())),
        SIGNATURE_HEADER: " ".join(
            Webhook(check_secret(secret)).sign(message_id, moment, text)
            for secret in secrets_in_use
        ),
    }


def verify(secrets_in_use: Sequence[str], headers: Mapping[str, str], body: bytes) -> SignedMessage:
    """Raises `InvalidSignatureError` unless one of the secrets signed these very bytes just now.

    Names of headers may be in any case. That a message is no repeat is for the caller to see, by
    its id. A secret that cannot be one raises `ValueError`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = _checked(given, ID_HEADER, _ID)
    timestamp = _checked(given, TIMESTAMP_HEADER, _TIMESTAMP)
    signatures = _checked(given, SIGNATURE_HEADER, _SIGNATURES)
    checked = {ID_HEADER: message_id, TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: signatures}
    refusal = "there is no secret to verify it with"
    for secret in secrets_in_use:
        webhook = Webhook(check_secret(secret))
        try:
            webhook.verify(body, checked, json_parse=False)
        except WebhookVerificationError as error:
            refusal = str(error)
        except ValueError as error:  # no base64, no UTF-8, or no `version,signature`
            refusal = f"{SIGNATURE_HEADER} or the body cannot be read ({type(error).__name__})"
        else:
            return SignedMessage(message_id, datetime.fromtimestamp(int(timestamp), UTC))
    raise InvalidSignatureError(f"the webhook's signature is not good: {refusal}")


def _checked(headers: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = headers.get(name)
    if value is None:
        raise InvalidSignatureError(f"the webhook's signature is not good: no header {name}")
    if not form.fullmatch(value):
        raise InvalidSignatureError(f"the webhook's signature is not good: {name} is malformed")
    return value
