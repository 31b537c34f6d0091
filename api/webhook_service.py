"""Webhook endpoints and the log of deliveries, for callers."""

from api.job_service import JobService
from shared.url_guard import UrlGuard
from shared.webhook_deliveries import DeliveryLog
from shared.webhook_endpoints import EndpointStore
from shared.webhooks import (
    Delivery,
    DeliveryList,
    NewlyMadeEndpoint,
    NewWebhookEndpoint,
    WebhookEndpoint,
    WebhookEndpointChange,
    check_receiver,
)


class WebhookService:
    """Raises `GridscribeError`, and the store's own errors when it cannot be reached."""

    def __init__(
        self, endpoints: EndpointStore, deliveries: DeliveryLog, jobs: JobService, guard: UrlGuard
    ) -> None:
        self.endpoints = endpoints
        self._deliveries = deliveries
        self._jobs = jobs
        self._guard = guard

    async def create(self, tenant: str, given: NewWebhookEndpoint) -> NewlyMadeEndpoint:
        """Raises URL_NOT_ALLOWED or QUOTA_EXCEEDED."""
        check_receiver(self._guard, given.url, "url")
        return await self.endpoints.create(tenant, given)

    async def change(
        self, tenant: str, endpoint_id: str, change: WebhookEndpointChange
    ) -> WebhookEndpoint:
        """Raises ENDPOINT_NOT_FOUND or URL_NOT_ALLOWED."""
        await self.endpoints.get(tenant, endpoint_id)
        if change.url is not None:
            check_receiver(self._guard, change.url, "url")
        return await self.endpoints.change(tenant, endpoint_id, change)

    async def test(self, tenant: str, endpoint_id: str, base_url: str) -> Delivery:
        """Raises ENDPOINT_NOT_FOUND or ENDPOINT_DISABLED."""
        delivery_id = await self.endpoints.test(tenant, endpoint_id)
        return await self._deliveries.get(tenant, delivery_id, base_url)

    async def of_endpoint(
        self, tenant: str, endpoint_id: str, limit: int, cursor: str | None, base_url: str
    ) -> DeliveryList:
        """Raises ENDPOINT_NOT_FOUND or INVALID_REQUEST."""
        await self.endpoints.get(tenant, endpoint_id)
        return await self._deliveries.of_endpoint(endpoint_id, limit, cursor, base_url)

    async def of_job(
        self, tenant: str, job_id: str, limit: int, cursor: str | None, base_url: str
    ) -> DeliveryList:
        """Raises JOB_NOT_FOUND, JOB_EXPIRED or INVALID_REQUEST."""
        await self._jobs.get(tenant, job_id)
        return await self._deliveries.of_job(job_id, limit, cursor, base_url)

    async def delivery(self, tenant: str, delivery_id: str, base_url: str) -> Delivery:
        """Raises DELIVERY_NOT_FOUND."""
        return await self._deliveries.get(tenant, delivery_id, base_url)

    async def redeliver(self, tenant: str, delivery_id: str, base_url: str) -> Delivery:
        """Raises DELIVERY_NOT_FOUND, ENDPOINT_NOT_FOUND or ENDPOINT_DISABLED."""
        await self._deliveries.redeliver(tenant, delivery_id)
        return await self._deliveries.get(tenant, delivery_id, base_url)
