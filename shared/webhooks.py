"""Webhooks to the outside: the shapes of endpoints and deliveries."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import httpx
from pydantic import Field, StringConstraints

from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import ENDS, StrictModel, WebhookEvent, WebhookEvents, WebhookUrl
from shared.url_guard import ForbiddenUrlError, UrlGuard

TEST_EVENT = "webhook.test"

Description = Annotated[str, StringConstraints(max_length=500)]


class NewWebhookEndpoint(StrictModel):
    """`POST /v1/webhook-endpoints`."""

    url: WebhookUrl
    """`http://` or `https://`; redirects are not followed."""
    events: WebhookEvents = ENDS
    description: Description = ""


class WebhookEndpointChange(StrictModel):
    """`PATCH /v1/webhook-endpoints/{id}`: what is left out, or null, stays as it is."""

    url: WebhookUrl | None = None
    events: WebhookEvents | None = None
    description: Description | None = None
    disabled: bool | None = None
    """False also forgets the failures there were."""


class WebhookEndpoint(StrictModel):
    """Who is told of every job of a tenant."""

    id: str
    url: str
    events: tuple[WebhookEvent, ...]
    description: str = ""
    created_at: datetime
    disabled: bool = False
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    """The first failure since something was delivered."""
    previous_secret_expires_at: datetime | None = None
    """Until then messages carry a second signature, by the secret before the last rotation."""


class NewlyMadeEndpoint(WebhookEndpoint):
    """The answer to making one."""

    secret: str
    """It is not shown again."""


class WebhookEndpointList(StrictModel):
    """`GET /v1/webhook-endpoints`, the oldest first."""

    data: tuple[WebhookEndpoint, ...]


class SecretRotation(StrictModel):
    """The body of `POST /v1/webhook-endpoints/{id}/rotate-secret`, which may be left out."""

    overlap_seconds: Annotated[int, Field(ge=0, le=7 * 24 * 3600)] = 24 * 3600
    """How long the secret before goes on signing beside the new one."""


class RotatedSecret(StrictModel):
    secret: str
    """It is not shown again."""
    previous_secret_expires_at: datetime


class DeliveryState(StrEnum):
    PENDING = "pending"
    """It is under way, or an attempt is due at `next_attempt_at`."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """The last attempt has failed."""
    STOPPED = "stopped"
    """Its endpoint was deleted or disabled; `reason` says which."""
    SUPERSEDED = "superseded"
    """A notice of progress that failed, with later news behind it."""


class DeliveryAttempt(StrictModel):
    attempt: int
    at: datetime
    duration_ms: int
    status: int | None = None
    """None where there was no answer."""
    answer: str | None = None
    """Its first 500 characters."""
    error: str | None = None
    """Why the attempt counts as failed."""


class DeliveryUrls(StrictModel):
    self: str
    redeliver: str


class Delivery(StrictModel):
    """One message to one receiver; `id` is its `webhook-id`."""

    id: str
    type: str
    job_id: str | None
    """None for a test."""
    endpoint_id: str | None
    """None where the job itself named the receiver."""
    url: str
    state: DeliveryState
    reason: str | None = None
    created_at: datetime
    next_attempt_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: tuple[DeliveryAttempt, ...] = ()
    """The last thirty, the oldest first."""
    urls: DeliveryUrls


class DeliveryList(StrictModel):
    """The newest first."""

    data: tuple[Delivery, ...]
    next_cursor: str | None = None
    """For `?cursor=`; None on the last page."""


def host_of(url: str) -> str:
    """Host and port of a URL that `UrlGuard.check_url` has let through."""
    parsed = httpx.URL(url)
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    return f"{parsed.raw_host.decode('ascii')}:{port}"


def check_receiver(guard: UrlGuard, url: str, location: str) -> None:
    """Raises `GridscribeError` URL_NOT_ALLOWED where nothing could ever be sent to `url`.

    Where its name leads is looked at when something is sent.
    """
    try:
        guard.check_url(url)
    except ForbiddenUrlError as error:
        detail = f"not allowed: {error}"
        raise GridscribeError(
            ErrorCode.URL_NOT_ALLOWED,
            f"{location}: {detail}",
            errors=[ErrorLocation(location, detail)],
        ) from error
