"""The log of webhooks' deliveries."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import BaseUrl, Cursor, FromServices, Tenant
from api.problems import documented
from shared.errors import ErrorCode as Code
from shared.webhooks import Delivery, DeliveryList

router = APIRouter(prefix="/v1", tags=["webhooks"])


@router.get(
    "/jobs/{job_id}/deliveries",
    responses=documented(Code.JOB_NOT_FOUND, Code.JOB_EXPIRED, Code.INVALID_REQUEST),
)
async def list_job_deliveries(
    job_id: str,
    services: FromServices,
    tenant: Tenant,
    base_url: BaseUrl,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
) -> DeliveryList:
    """What was told of a job and to whom, the newest first, with every attempt."""
    return await services.webhooks.of_job(tenant, job_id, limit, cursor, base_url)


@router.get("/deliveries/{delivery_id}", responses=documented(Code.DELIVERY_NOT_FOUND))
async def get_delivery(
    delivery_id: str, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Delivery:
    """One message to one receiver. Its id is the `webhook-id` that the receiver saw."""
    return await services.webhooks.delivery(tenant, delivery_id, base_url)


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    status_code=202,
    responses={
        202: {"description": "It is under way again, with all its attempts"},
        **documented(Code.DELIVERY_NOT_FOUND, Code.ENDPOINT_NOT_FOUND, Code.ENDPOINT_DISABLED),
    },
)
async def redeliver(
    delivery_id: str, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Delivery:
    """Send a message again, whatever became of it, with the same `webhook-id`."""
    return await services.webhooks.redeliver(tenant, delivery_id, base_url)
