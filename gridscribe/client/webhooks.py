"""Who is told of jobs, and what became of it: `client.webhook_endpoints`, `client.deliveries`."""

from pydantic import BaseModel

from gridscribe.client.binding import (
    AsyncResource,
    Awaited,
    AwaitedFeed,
    Blocking,
    BlockingFeed,
    BlockingResource,
)
from gridscribe.client.flow import Emit, Feed, Flow, Request
from gridscribe.client.paths import path_of
from gridscribe.client.wire import Wire
from shared.errors import ErrorCode
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


class EndpointFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Flow[tuple[WebhookEndpoint, ...]]:
        """Yours, the oldest first."""
        return (yield from self._wire.ask(Request("GET", _path(), WebhookEndpointList))).data

    def get(self, endpoint_id: str) -> Flow[WebhookEndpoint]:
        """Where it fails or was disabled, it says since when and why."""
        return (yield from self._wire.ask(Request("GET", _path(endpoint_id), WebhookEndpoint)))

    def create(self, endpoint: NewWebhookEndpoint) -> Flow[NewlyMadeEndpoint]:
        """Name a URL that is told of your jobs; the secret is shown this once."""
        request = Request("POST", _path(), NewlyMadeEndpoint, json=_body(endpoint))
        return (yield from self._wire.ask(request))

    def change(self, endpoint_id: str, change: WebhookEndpointChange) -> Flow[WebhookEndpoint]:
        """Change what is given; `disabled=False` takes up an endpoint that was disabled."""
        request = Request("PATCH", _path(endpoint_id), WebhookEndpoint, json=_body(change))
        return (yield from self._wire.ask(request))

    def delete(self, endpoint_id: str) -> Flow[None]:
        """Nothing more is sent there."""
        yield from self._wire.exchange(
            Request(
                *("DELETE", _path(endpoint_id)),
                done_codes=frozenset({ErrorCode.ENDPOINT_NOT_FOUND}),
            )
        )

    def rotate_secret(
        self, endpoint_id: str, overlap_seconds: int | None = None
    ) -> Flow[RotatedSecret]:
        """A new secret, shown this once; the old one goes on signing beside it for a while."""
        given = {} if overlap_seconds is None else {"overlap_seconds": overlap_seconds}
        path = _path(endpoint_id, "rotate-secret")
        body = _body(SecretRotation.model_validate(given))
        return (yield from self._wire.ask(Request("POST", path, RotatedSecret, json=body)))

    def test(self, endpoint_id: str) -> Flow[Delivery]:
        """Send a message of no job there; `deliveries.get` tells what became of it."""
        return (yield from self._wire.ask(Request("POST", _path(endpoint_id, "test"), Delivery)))

    def deliveries(self, endpoint_id: str) -> Feed[Delivery]:
        """What was sent there, newest first, with every attempt, page by page as asked for."""
        yield from _log(self._wire, _path(endpoint_id, "deliveries"))


class DeliveryFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def of_job(self, job_id: str) -> Feed[Delivery]:
        """What was sent of a job, newest first, with every attempt, page by page as asked for."""
        yield from _log(self._wire, path_of("jobs", job_id, "deliveries"))

    def get(self, delivery_id: str) -> Flow[Delivery]:
        """One of them."""
        return (
            yield from self._wire.ask(Request("GET", path_of("deliveries", delivery_id), Delivery))
        )

    def redeliver(self, delivery_id: str) -> Flow[Delivery]:
        """Send a message again."""
        path = path_of("deliveries", delivery_id, "redeliver")
        return (yield from self._wire.ask(Request("POST", path, Delivery)))


def _log(wire: Wire, path: str) -> Feed[Delivery]:
    query: dict[str, str] = {}
    while True:
        page = yield from wire.ask(Request("GET", path, DeliveryList, params=query))
        for delivery in page.data:
            yield Emit(delivery)
        if page.next_cursor is None:
            return
        query = {"cursor": page.next_cursor}


def _path(*parts: str) -> str:
    return path_of("webhook-endpoints", *parts)


def _body(given: BaseModel) -> bytes:
    return given.model_dump_json(exclude_unset=True).encode()


class Endpoints(BlockingResource):
    """`Client.webhook_endpoints`."""

    list = Blocking(EndpointFlows.list)
    get = Blocking(EndpointFlows.get)
    create = Blocking(EndpointFlows.create)
    change = Blocking(EndpointFlows.change)
    delete = Blocking(EndpointFlows.delete)
    rotate_secret = Blocking(EndpointFlows.rotate_secret)
    test = Blocking(EndpointFlows.test)
    deliveries = BlockingFeed(EndpointFlows.deliveries)


class AsyncEndpoints(AsyncResource):
    """`AsyncClient.webhook_endpoints`."""

    list = Awaited(EndpointFlows.list)
    get = Awaited(EndpointFlows.get)
    create = Awaited(EndpointFlows.create)
    change = Awaited(EndpointFlows.change)
    delete = Awaited(EndpointFlows.delete)
    rotate_secret = Awaited(EndpointFlows.rotate_secret)
    test = Awaited(EndpointFlows.test)
    deliveries = AwaitedFeed(EndpointFlows.deliveries)


class Deliveries(BlockingResource):
    """`Client.deliveries`."""

    of_job = BlockingFeed(DeliveryFlows.of_job)
    get = Blocking(DeliveryFlows.get)
    redeliver = Blocking(DeliveryFlows.redeliver)


class AsyncDeliveries(AsyncResource):
    """`AsyncClient.deliveries`."""

    of_job = AwaitedFeed(DeliveryFlows.of_job)
    get = Awaited(DeliveryFlows.get)
    redeliver = Awaited(DeliveryFlows.redeliver)
