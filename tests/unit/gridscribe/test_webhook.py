import json
from datetime import UTC, datetime, timedelta

import pytest

from gridscribe import InvalidWebhookError, verify_webhook
from shared.webhook_signature import new_secret, signed_headers
from tests.unit.gridscribe.scripted_server import job_answer

SECRET = new_secret()
BODY = json.dumps(
    {
        "type": "job.succeeded",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": json.loads(job_answer("succeeded").body),
    }
).encode()


def headers(body: bytes = BODY, at: datetime | None = None) -> dict[str, str]:
    return signed_headers([SECRET], "msg_1", body, at or datetime.now(UTC))


def test_a_signed_webhook_gives_its_job() -> None:
    event = verify_webhook(headers(), BODY, SECRET)
    assert (event.id, event.type, event.job.status) == ("msg_1", "job.succeeded", "succeeded")
    assert event.timestamp == datetime(2026, 1, 1, tzinfo=UTC)


def test_another_body_secret_or_time_is_refused() -> None:
    with pytest.raises(InvalidWebhookError, match="not good"):
        verify_webhook(headers(), BODY + b" ", SECRET)
    with pytest.raises(InvalidWebhookError, match="not good"):
        verify_webhook(headers(), BODY, new_secret())
    with pytest.raises(InvalidWebhookError, match="not good"):
        verify_webhook(headers(at=datetime.now(UTC) - timedelta(hours=1)), BODY, SECRET)
    with pytest.raises(InvalidWebhookError, match="no header webhook-id"):
        verify_webhook({}, BODY, SECRET)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"type": "x"}', b"\xff"])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    signable = body if body != b"\xff" else b"?"
    with pytest.raises(InvalidWebhookError):
        verify_webhook(headers(signable), body, SECRET)


def test_an_event_without_a_job_says_so() -> None:
    body = b'{"type": "ping", "timestamp": "2026-01-01T00:00:00Z", "data": {}}'
    event = verify_webhook(headers(body), body, SECRET)
    with pytest.raises(InvalidWebhookError, match="ping carries no job"):
        _ = event.job
