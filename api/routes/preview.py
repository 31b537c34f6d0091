"""Layout without a job."""

from anyio import to_thread
from fastapi import APIRouter

from api.byte_streams import read_whole
from api.dependencies import Body, FromServices, Tenant
from api.layout_preview import preview
from api.openapi import json_body
from api.problems import documented
from api.validation import parse_json
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.layout_preview import Preview, PreviewRequest

router = APIRouter(prefix="/v1/preview", tags=["preview"])


@router.post(
    "",
    responses=documented(
        Code.INVALID_REQUEST,
        Code.REQUEST_TOO_LARGE,
        Code.REQUEST_TOO_SLOW,
        Code.INVALID_SPEC,
        Code.TOO_MANY_IMAGES,
        Code.UNKNOWN_TEMPLATE,
        Code.UNKNOWN_VOCABULARY,
        Code.MODEL_NOT_OFFERED,
        Code.SHEET_TOO_LARGE,
        Code.IMAGES_DO_NOT_FIT,
        Code.TOO_MANY_VALUES,
    ),
    openapi_extra={"requestBody": {"required": True, "content": json_body("PreviewRequest")}},
)
async def preview_layout(services: FromServices, tenant: Tenant, body: Body) -> Preview:
    """Where everything would stand; nothing is stored or queued."""
    limit = services.settings.max_spec_bytes
    too_large = GridscribeError(
        Code.REQUEST_TOO_LARGE, f"a preview may have {limit:,} bytes; it needs no images"
    )
    request = parse_json(PreviewRequest, await read_whole(body, limit, too_large))
    own = await services.templates.for_spec(tenant, request.spec.template)
    return await to_thread.run_sync(preview, request, services.settings, own)
