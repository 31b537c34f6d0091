"""Receivers that are told of every job of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.byte_streams import read_whole
from api.dependencies import BaseUrl, Body, Cursor, FromServices, Tenant
from api.openapi import json_body
from api.problems import documented
from api.response_headers import header_docs
from api.validation import parse_json
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.settings import Settings
from shared.webhooks import (
    Delivery,
    DeliveryList,
    NewlyMadeEndpoint,
    NewWebhookEndpoint,
    RotatedSecret,
    SecretRotation,
    WebhookEndpoint,
    WebhookEndpointChange,
    WebhookEndpointList,
)

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])

_reading = (Code.INVALID_REQUEST, Code.REQUEST_TOO_LARGE, Code.REQUEST_TOO_SLOW)
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("")
async def list_webhook_endpoints(services: FromServices, tenant: Tenant) -> WebhookEndpointList:
    """Yours, the oldest first."""
    return WebhookEndpointList(data=await services.webhooks.endpoints.of_tenant(tenant))


@router.post(
    "",
    status_code=201,
    responses={
        201: {
            "description": "It is told from now on. `secret` is shown this once",
            "headers": header_docs("Location"),
        },
        **documented(*_reading, Code.URL_NOT_ALLOWED, Code.QUOTA_EXCEEDED, Code.RATE_LIMITED),
    },
    openapi_extra={"requestBody": {"required": True, "content": json_body("NewWebhookEndpoint")}},
)
async def create_webhook_endpoint(
    response: Response, services: FromServices, tenant: Tenant, base_url: BaseUrl, body: Body
) -> NewlyMadeEndpoint:
    """Name a URL that is told of your jobs, signed with a secret of its own."""
    given = parse_json(NewWebhookEndpoint, await _read(body, services.settings))
    made = await services.webhooks.create(tenant, given)
    response.headers["Location"] = f"{base_url}{router.prefix}/{made.id}"
    return made


@router.get("/{endpoint_id}", responses=documented(Code.ENDPOINT_NOT_FOUND))
async def get_webhook_endpoint(
    endpoint_id: str, services: FromServices, tenant: Tenant
) -> WebhookEndpoint:
    """Where it fails or was disabled, it says since when and why."""
    return await services.webhooks.endpoints.get(tenant, endpoint_id)


@router.patch(
    "/{endpoint_id}",
    responses=documented(*_reading, Code.ENDPOINT_NOT_FOUND, Code.URL_NOT_ALLOWED),
    openapi_extra={
        "requestBody": {"required": True, "content": json_body("WebhookEndpointChange")}
    },
)
async def change_webhook_endpoint(
    endpoint_id: str, services: FromServices, tenant: Tenant, body: Body
) -> WebhookEndpoint:
    """Change what is given. What waits already goes to the new URL."""
    change = parse_json(WebhookEndpointChange, await _read(body, services.settings))
    return await services.webhooks.change(tenant, endpoint_id, change)


@router.delete("/{endpoint_id}", status_code=204, responses=documented(Code.ENDPOINT_NOT_FOUND))
async def delete_webhook_endpoint(endpoint_id: str, services: FromServices, tenant: Tenant) -> None:
    """Nothing more is sent there, what waits already neither."""
    await services.webhooks.endpoints.delete(tenant, endpoint_id)


@router.post(
    "/{endpoint_id}/rotate-secret",
    responses={
        200: {"description": "The new secret, shown this once"},
        **documented(*_reading, Code.ENDPOINT_NOT_FOUND),
    },
    openapi_extra={"requestBody": {"content": json_body("SecretRotation")}},
)
async def rotate_webhook_secret(
    endpoint_id: str, services: FromServices, tenant: Tenant, body: Body
) -> RotatedSecret:
    """Change the secret. For a while messages carry two signatures, by the old one as well."""
    data = await _read(body, services.settings)
    rotation = parse_json(SecretRotation, data) if data else SecretRotation()
    return await services.webhooks.endpoints.rotate_secret(
        tenant, endpoint_id, rotation.overlap_seconds
    )


@router.post(
    "/{endpoint_id}/test",
    status_code=202,
    responses={
        202: {
            "description": "A message of type `webhook.test` is under way",
            "headers": header_docs("Location"),
        },
        **documented(Code.ENDPOINT_NOT_FOUND, Code.ENDPOINT_DISABLED),
    },
)
async def test_webhook_endpoint(
    endpoint_id: str, response: Response, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Delivery:
    """Send a message of no job there. Poll the delivery to see what became of it."""
    delivery = await services.webhooks.test(tenant, endpoint_id, base_url)
    response.headers["Location"] = delivery.urls.self
    return delivery


@router.get(
    "/{endpoint_id}/deliveries",
    responses=documented(Code.ENDPOINT_NOT_FOUND, Code.INVALID_REQUEST),
)
async def list_endpoint_deliveries(
    endpoint_id: str,
    services: FromServices,
    tenant: Tenant,
    base_url: BaseUrl,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeliveryList:
    """What was sent there, the newest first, with every attempt."""
    return await services.webhooks.of_endpoint(tenant, endpoint_id, limit, cursor, base_url)


async def _read(body: Body, settings: Settings) -> bytes:
    limit = settings.max_spec_bytes
    too_large = GridscribeError(Code.REQUEST_TOO_LARGE, f"an endpoint may have {limit:,} bytes")
    return await read_whole(body, limit, too_large)
