"""Label images and compose them into labeled sheets: the client library."""

from gridscribe.client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    JobTimeoutError,
    JobUpdate,
    ServerUnreachableError,
    UnusableArgumentError,
)
from gridscribe.webhook import InvalidWebhookError, WebhookMessage, verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "InvalidWebhookError",
    "JobTimeoutError",
    "JobUpdate",
    "ServerUnreachableError",
    "UnusableArgumentError",
    "WebhookMessage",
    "verify_webhook",
]
