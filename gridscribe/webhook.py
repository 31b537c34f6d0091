"""Webhooks as their receiver sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from gridscribe.client.errors import ClientError
from shared.schemas import JobSummary
from shared.webhook_signature import InvalidSignatureError, verify


class InvalidWebhookError(ClientError):
    """The message is not the service's, or not of now, or cannot be read: answer it with 401."""


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A message that the service signed."""

    id: str
    """The same for every attempt at one message: to drop those that come twice."""
    type: str
    """Such as `job.succeeded`."""
    timestamp: datetime
    """When it happened."""
    data: Mapping[str, Any]
    """The job, as JSON."""

    @property
    def job(self) -> JobSummary:
        """`data` as the job it is. Raises `InvalidWebhookError` where it is none."""
        try:
            return JobSummary.model_validate(self.data, extra="ignore")
        except ValidationError as error:
            raise InvalidWebhookError(f"the webhook {self.type} carries no job") from error


class _Body(BaseModel):
    type: str
    timestamp: AwareDatetime
    data: dict[str, Any]


def verify_webhook(headers: Mapping[str, str], body: bytes, secret: str) -> WebhookMessage:
    """The event in a request that a webhook brought.

    `body` are the very bytes that came, `secret` is the endpoint's, `whsec_...`. Raises
    `InvalidWebhookError` unless the secret signed them, at most five minutes from now (Standard
    Webhooks 1.0), and `ValueError` for a secret that cannot be one.
    """
    try:
        message = verify([secret], headers, body)
        content = _Body.model_validate_json(body)
    except InvalidSignatureError as error:
        raise InvalidWebhookError(str(error)) from error
    except ValidationError as error:
        raise InvalidWebhookError("the webhook is signed, but its body is no event") from error
    return WebhookMessage(message.id, content.type, content.timestamp, content.data)
