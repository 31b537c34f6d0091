"""Sources: render farms and generation back ends whose events become grids."""

from fastapi import APIRouter, Response

from api.byte_streams import read_whole
from api.dependencies import BaseUrl, Body, FromServices, Tenant
from api.openapi import json_body
from api.problems import documented
from api.validation import parse_json
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.inbound_sources import Source, SourceList, SourceRequest, SourceWithSecret
from shared.settings import Settings

router = APIRouter(prefix="/v1/sources", tags=["sources"])

_writing = (
    Code.INVALID_REQUEST,
    Code.INVALID_SPEC,
    Code.URL_NOT_ALLOWED,
    Code.REQUEST_TOO_LARGE,
    Code.REQUEST_TOO_SLOW,
)
_body = {"requestBody": {"required": True, "content": json_body("SourceRequest")}}


@router.get("", response_model_exclude_unset=True)
async def list_sources(services: FromServices, tenant: Tenant, base_url: BaseUrl) -> SourceList:
    """Yours, the oldest first, without their logs."""
    return await services.sources.list_sources(tenant, base_url)


@router.post(
    "",
    status_code=201,
    response_model_exclude_unset=True,
    responses=documented(*_writing, Code.QUOTA_EXCEEDED, Code.RATE_LIMITED),
    openapi_extra=_body,
)
async def create_source(
    response: Response, services: FromServices, tenant: Tenant, base_url: BaseUrl, body: Body
) -> SourceWithSecret:
    """Make a source. Its `secret` is shown in this answer and never again."""
    request = await _read(body, services.settings)
    source = await services.sources.create(tenant, request, base_url)
    response.headers["Location"] = f"{router.prefix}/{source.id}"
    return source


@router.get(
    "/{source_id}",
    response_model_exclude_unset=True,
    responses=documented(Code.SOURCE_NOT_FOUND),
)
async def get_source(
    source_id: str, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> Source:
    """A source, what has come, and a log of the grids made of it and of those that were not."""
    return await services.sources.get(tenant, source_id, base_url)


@router.put(
    "/{source_id}",
    response_model_exclude_unset=True,
    responses=documented(*_writing, Code.SOURCE_NOT_FOUND),
    openapi_extra=_body,
)
async def put_source(
    source_id: str, services: FromServices, tenant: Tenant, base_url: BaseUrl, body: Body
) -> SourceWithSecret:
    """Change a source, as a whole. Its secret stays where none is given."""
    request = await _read(body, services.settings)
    return await services.sources.replace(tenant, source_id, request, base_url)


@router.post(
    "/{source_id}/rotate-secret",
    response_model_exclude_unset=True,
    responses=documented(Code.SOURCE_NOT_FOUND),
)
async def rotate_source_secret(
    source_id: str, services: FromServices, tenant: Tenant, base_url: BaseUrl
) -> SourceWithSecret:
    """Make a new secret. The old one is refused from now on."""
    return await services.sources.rotate_secret(tenant, source_id, base_url)


@router.delete("/{source_id}", status_code=204, responses=documented(Code.SOURCE_NOT_FOUND))
async def delete_source(source_id: str, services: FromServices, tenant: Tenant) -> None:
    """Frames that wait for a grid go with it; grids that were made stay."""
    await services.sources.delete(tenant, source_id)


async def _read(body: Body, settings: Settings) -> SourceRequest:
    limit = settings.max_spec_bytes
    too_large = GridscribeError(Code.REQUEST_TOO_LARGE, f"a source may have {limit:,} bytes")
    return parse_json(SourceRequest, await read_whole(body, limit, too_large))
