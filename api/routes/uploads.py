"""Files sent ahead of a job, one by one."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request

from api.byte_streams import read_whole
from api.dependencies import Body, FromServices, Tenant
from api.multipart_stream import MULTIPART, media_type, read_single_part
from api.openapi import binary, json_body, multipart_body
from api.problems import documented
from api.validation import parse_json
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.schemas import PresignedUpload, PresignRequest, Upload

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_content = multipart_body({"file": {"type": "string", "format": "binary"}}, required=["file"])


@router.post(
    "",
    status_code=201,
    responses=documented(
        Code.INVALID_REQUEST,
        Code.FILE_TOO_LARGE,
        Code.REQUEST_TOO_LARGE,
        Code.REQUEST_TOO_SLOW,
        Code.NOT_AN_IMAGE,
        Code.TOO_MANY_PIXELS,
        Code.STORAGE_FULL,
    ),
    openapi_extra={"requestBody": {"required": True, "content": _content | binary("image/*")}},
)
async def upload_image(
    request: Request,
    services: FromServices,
    tenant: Tenant,
    body: Body,
    name: Annotated[str | None, Query(description="The file's name where the body is raw")] = None,
) -> Upload:
    """Store one image: a multipart part `file`, or the body itself."""
    content_type = request.headers.get("content-type")
    match media_type(content_type).partition("/"):
        case ("multipart", _, "form-data"):
            part = await read_single_part(body, content_type, "file")
            return await services.uploads.save(tenant, part.filename, part.chunks)
        case ("image", _, _) | ("application", _, "octet-stream"):
            return await services.uploads.save(tenant, name, body)
        case _:
            raise HTTPException(
                415, f"Content-Type must be {MULTIPART}, image/* or application/octet-stream"
            )


@router.post(
    "/presign",
    status_code=201,
    responses=documented(
        Code.INVALID_REQUEST,
        Code.REQUEST_TOO_LARGE,
        Code.REQUEST_TOO_SLOW,
        Code.PRESIGN_NOT_OFFERED,
    ),
    openapi_extra={"requestBody": {"content": json_body("PresignRequest")}},
)
async def presign_upload(services: FromServices, tenant: Tenant, body: Body) -> PresignedUpload:
    """A link to PUT one file into the bucket, past this service; only with S3 storage.

    The file is looked at by the job that names the `upload_id`, which refuses it as any other.
    """
    limit = services.settings.max_spec_bytes
    too_large = GridscribeError(Code.REQUEST_TOO_LARGE, f"this body may have {limit:,} bytes")
    data = await read_whole(body, limit, too_large)
    request = parse_json(PresignRequest, data) if data else PresignRequest()
    return await services.uploads.presign(tenant, request.name)
