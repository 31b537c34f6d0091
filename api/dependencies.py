"""What routes get handed: services, the caller's tenant, checked headers.

All of them are `async`: FastAPI sends a plain function to a thread, which costs more than they do.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from redis.exceptions import RedisError

from api.access import AccessControl, is_local
from api.byte_streams import Pace, bounded, paced
from api.compat.grid_service import GridService
from api.image_fetching import ImageFetcher
from api.inbound.reception import Reception
from api.job_events import JobEvents
from api.job_service import JobService
from api.readiness import ReadinessService
from api.service_metrics import ServiceMetrics
from api.source_service import SourceService
from api.upload_service import UploadService
from api.webhook_service import WebhookService
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.object_storage import ObjectStorage
from shared.settings import Settings
from shared.template_store import TemplateStore

_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", re.ASCII)
"""An authority without user information (RFC 9110, 7.2): links are made of it."""
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Services:
    """Made once, when the process starts."""

    settings: Settings
    storage: ObjectStorage
    jobs: JobService
    events: JobEvents
    uploads: UploadService
    fetcher: ImageFetcher
    readiness: ReadinessService
    access: AccessControl
    templates: TemplateStore
    metrics: ServiceMetrics
    sources: SourceService
    reception: Reception
    webhooks: WebhookService
    grids: GridService | None
    """Where the old service's endpoints are on."""


async def get_services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


_bearer = HTTPBearer(auto_error=False, description="A key that `gridscribe keys create` printed")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def get_tenant(request: Request, bearer: Bearer) -> str:
    """The caller's, by the key; counts the request."""
    services = await get_services(request)
    return await services.access.admit(_key(bearer), local=_is_local(request))


async def tenant_of(request: Request) -> str:
    """What `get_tenant` gives, for a route that does without FastAPI's dependencies."""
    return await get_tenant(request, await _bearer(request))


async def get_operator(request: Request, bearer: Bearer) -> str:
    """The operator's own tenant, which this request must come from."""
    services = await get_services(request)
    return await services.access.admit_operator(_key(bearer), local=_is_local(request))


async def is_operator(request: Request, bearer: Bearer) -> bool:
    """For what is open to all and says more to the operator."""
    services = await get_services(request)
    if bearer is None and services.access.needs_key(local=_is_local(request)):
        return False  # nobody is refused here, so nothing is to be logged
    try:
        await get_operator(request, bearer)
    except (GridscribeError, RedisError, OSError):
        return False
    return True


def _key(bearer: HTTPAuthorizationCredentials | None) -> str | None:
    return None if bearer is None else bearer.credentials


def _is_local(request: Request) -> bool:
    address = (request.scope.get("server") or (None,))[0]
    return is_local(address, request.headers.get("host"), request.headers.get("origin"))


async def get_base_url(request: Request) -> str:
    scope = request.scope
    host = request.headers.get("host", "localhost")
    if not _HOST.fullmatch(host):
        detail = "must be the name or address of this service, with its port"
        raise GridscribeError(
            ErrorCode.INVALID_REQUEST, f"Host: {detail}", errors=[ErrorLocation("Host", detail)]
        )
    return f"{scope['scheme']}://{host}{scope.get('root_path', '').rstrip('/')}"


async def get_body(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes: neither larger nor slower than the settings allow."""
    settings = (await get_services(request)).settings
    limit = settings.max_request_bytes
    error = GridscribeError(
        ErrorCode.REQUEST_TOO_LARGE,
        f"the request is larger than {limit:,} bytes; send fewer images at a time, or upload them"
        " one by one with POST /v1/uploads",
    )
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise error
    pace = Pace(settings.body_grace_seconds, settings.min_body_rate, settings.body_timeout_seconds)
    too_slow = GridscribeError(
        ErrorCode.REQUEST_TOO_SLOW,
        f"the request's body came too slowly: it may stall for {pace.grace:g} s, must come at"
        f" {pace.rate:,.0f} bytes/s on average, and be over after {pace.total:g} s",
    )
    return bounded(paced(request.stream(), pace, too_slow), limit, error)


async def get_idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A repeat with the same key and payload returns the first job.",
        ),
    ] = None,
) -> str | None:
    if key is not None and not _PRINTABLE.fullmatch(key):
        detail = "must be 1 to 255 visible ASCII characters, such as a UUID"
        raise GridscribeError(
            ErrorCode.INVALID_REQUEST,
            f"Idempotency-Key: {detail}",
            errors=[ErrorLocation("Idempotency-Key", detail)],
        )
    return key


FromServices = Annotated[Services, Depends(get_services)]
Tenant = Annotated[str, Depends(get_tenant)]
BaseUrl = Annotated[str, Depends(get_base_url)]
Body = Annotated[AsyncIterator[bytes], Depends(get_body)]
IdempotencyKeyHeader = Annotated[str | None, Depends(get_idempotency_key)]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before")]
