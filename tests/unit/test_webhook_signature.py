"""Signing and verifying webhooks, against the library that receivers use."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from shared.webhook_signature import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_SECONDS,
    InvalidSignatureError,
    check_secret,
    new_secret,
    signed_headers,
    verify,
)

SECRET, OTHER = new_secret(), new_secret()
BODY = '{"type":"job.succeeded","title":"Füchse"}'.encode()


def headers(at: datetime | None = None) -> dict[str, str]:
    return signed_headers([SECRET], "msg_1", BODY, at or datetime.now(UTC))


def test_a_message_of_ours_satisfies_the_library_and_ourselves() -> None:
    signed = headers()
    assert Webhook(SECRET).verify(BODY, signed)["title"] == "Füchse"
    message = verify([SECRET], {name.title(): value for name, value in signed.items()}, BODY)
    assert message.id == "msg_1"
    assert abs(message.timestamp - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_secret_is_thirty_two_random_bytes() -> None:
    assert len(base64.b64decode(SECRET.removeprefix("whsec_"))) == 32
    assert SECRET != OTHER


def test_a_time_of_another_zone_is_signed_as_the_moment_that_it_is() -> None:
    elsewhere = datetime.now(timezone(timedelta(hours=9)))
    signed = headers(elsewhere)
    assert signed == headers(elsewhere.astimezone(UTC))
    verify([SECRET], signed, BODY)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        headers(datetime.now(UTC).replace(tzinfo=None))


def test_while_a_secret_is_rotated_either_one_verifies() -> None:
    signed = signed_headers([SECRET, OTHER], "msg_1", BODY, datetime.now(UTC))
    assert signed[SIGNATURE_HEADER].count("v1,") == 2
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(BODY, signed)
        verify([secret], signed, BODY)
    verify([new_secret(), OTHER], headers() | signed, BODY)


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS - 5, TOLERANCE_SECONDS + 5])
def test_a_message_of_another_time_is_refused(seconds: int) -> None:
    with pytest.raises(InvalidSignatureError, match=r"too (old|new)"):
        verify([SECRET], headers(datetime.now(UTC) + timedelta(seconds=seconds)), BODY)


def test_a_wrong_secret_and_a_changed_body_are_refused() -> None:
    signed = headers()
    for secrets, body in (([OTHER], BODY), ([SECRET], BODY + b" "), ([], BODY)):
        with pytest.raises(InvalidSignatureError):
            verify(secrets, signed, body)


@pytest.mark.parametrize("name", [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER])
@pytest.mark.parametrize("value", [None, "", "é", "v1", "v1,", "v1,a,b", "nan", "1e9", "a.1", " "])
def test_a_missing_or_malformed_header_is_refused(name: str, value: str | None) -> None:
    signed = headers() | {name: value}
    with pytest.raises(InvalidSignatureError):
        verify([SECRET], {key: it for key, it in signed.items() if it is not None}, BODY)


def test_a_part_of_the_body_cannot_pass_for_the_time() -> None:
    at = datetime.now(UTC)
    signed = signed_headers([SECRET], "msg_1", f"{int(at.timestamp())}.{{}}".encode(), at)
    moved = signed | {ID_HEADER: f"msg_1.{signed[TIMESTAMP_HEADER]}"}
    Webhook(SECRET).verify(b"{}", moved)  # the library lets it in
    with pytest.raises(InvalidSignatureError):
        verify([SECRET], moved, b"{}")
    with pytest.raises(ValueError, match="id of a message"):
        signed_headers([SECRET], "msg.1", BODY, at)


@given(st.dictionaries(st.sampled_from(sorted(headers())), st.text()), st.binary())
def test_nothing_that_is_sent_raises_another_error(changed: dict[str, str], body: bytes) -> None:
    with pytest.raises(InvalidSignatureError):
        verify([SECRET], headers() | changed, body)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_äöü", "whsec_c2hvcnQ=", SECRET[6:], SECRET + "!"]
)
def test_what_cannot_be_a_secret_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 random bytes") as raised:
        check_secret(secret)
    assert len(secret) <= len("whsec_") or secret not in str(raised.value)
