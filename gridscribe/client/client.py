"""`Client` and `AsyncClient`: the same calls, blocking and with await."""

from types import TracebackType
from typing import Any, Self

import httpx

from gridscribe.client.deployment import (
    AsyncModels,
    AsyncService,
    AsyncVocabularies,
    ModelFlows,
    Models,
    Service,
    ServiceFlows,
    Vocabularies,
    VocabularyFlows,
)
from gridscribe.client.errors import UnusableArgumentError
from gridscribe.client.jobs import AsyncJobs, JobFlows, Jobs
from gridscribe.client.runners import AsyncRunner, BlockingRunner
from gridscribe.client.sources import AsyncSources, SourceFlows, Sources
from gridscribe.client.templates import AsyncTemplates, TemplateFlows, Templates
from gridscribe.client.uploads import AsyncUploads, UploadFlows, Uploads
from gridscribe.client.webhooks import (
    AsyncDeliveries,
    AsyncEndpoints,
    Deliveries,
    DeliveryFlows,
    EndpointFlows,
    Endpoints,
)
from gridscribe.client.wire import Wire

DEFAULT_SERVER = "http://127.0.0.1:8000"

_CONNECT_SECONDS = 5.0
# A proxy set for the outside world has no way to this very machine.
_NO_PROXY = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}


class Client:
    """Talks to the service at `base_url`, from one thread at a time.

    Requests that may pass on a second try, because no connection came about or the answer was 429,
    502, 503 or 504, are repeated up to `retries` times, with growing pauses or those that the
    service asks for. `timeout` is for each step of a request, in seconds.

    Calls raise `ApiError` or `ServerUnreachableError`, both `ClientError`; so does making a client,
    where address or key cannot be one.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_SERVER,
        *,
        api_key: str | None = None,
        timeout: float = 60,
        retries: int = 4,
    ) -> None:
        self.base_url = _checked_address(base_url)
        self._http = httpx.Client(**_options(self.base_url, api_key, timeout))
        wire, runner = Wire(self.base_url, retries), BlockingRunner(self._http)
        self.jobs = Jobs(JobFlows(wire), runner)
        self.uploads = Uploads(UploadFlows(wire), runner)
        self.templates = Templates(TemplateFlows(wire), runner)
        self.sources = Sources(SourceFlows(wire), runner)
        self.models = Models(ModelFlows(wire), runner)
        self.vocabularies = Vocabularies(VocabularyFlows(wire), runner)
        self.webhook_endpoints = Endpoints(EndpointFlows(wire), runner)
        self.deliveries = Deliveries(DeliveryFlows(wire), runner)
        self.service = Service(ServiceFlows(wire), runner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()


class AsyncClient:
    """As `Client`, for asyncio and trio: methods are awaited, `list` and `events` iterated over
    with `async for`. Files of this machine are read and written beside the event loop, listeners
    told in it.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_SERVER,
        *,
        api_key: str | None = None,
        timeout: float = 60,
        retries: int = 4,
    ) -> None:
        self.base_url = _checked_address(base_url)
        self._http = httpx.AsyncClient(**_options(self.base_url, api_key, timeout))
        wire, runner = Wire(self.base_url, retries), AsyncRunner(self._http)
        self.jobs = AsyncJobs(JobFlows(wire), runner)
        self.uploads = AsyncUploads(UploadFlows(wire), runner)
        self.templates = AsyncTemplates(TemplateFlows(wire), runner)
        self.sources = AsyncSources(SourceFlows(wire), runner)
        self.models = AsyncModels(ModelFlows(wire), runner)
        self.vocabularies = AsyncVocabularies(VocabularyFlows(wire), runner)
        self.webhook_endpoints = AsyncEndpoints(EndpointFlows(wire), runner)
        self.deliveries = AsyncDeliveries(DeliveryFlows(wire), runner)
        self.service = AsyncService(ServiceFlows(wire), runner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()


def _checked_address(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise UnusableArgumentError(f"{base_url!r} is no address of a service: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise UnusableArgumentError(
            f"{base_url!r} is no address of a service: write it as in {DEFAULT_SERVER}"
        )
    return base_url.rstrip("/")


def _options(base_url: str, api_key: str | None, timeout: float) -> dict[str, Any]:
    if api_key and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        # It is not repeated: error messages end up in logs.
        raise UnusableArgumentError("the API key has a character that no key has")
    return {
        "base_url": base_url,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        "mounts": _NO_PROXY,
        "headers": {"Authorization": f"Bearer {api_key}"} if api_key else None,
    }
