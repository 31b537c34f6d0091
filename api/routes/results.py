"""The finished sheet and its manifest."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import FromServices, Tenant
from api.openapi import binary, json_body
from api.problems import documented
from api.result_files import SheetFile, read_manifest, sheet_response
from shared.errors import ErrorCode as Code
from shared.job_spec import SheetFormat

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_problems = documented(Code.JOB_NOT_FOUND, Code.JOB_EXPIRED, Code.RESULT_NOT_READY)


@router.get(
    "/result",
    response_class=Response,
    responses={
        200: {"content": binary(*(f.media_type for f in SheetFormat)), "description": "A page"},
        206: {"description": "The part of it that `Range` asked for"},
        304: {"description": "The caller has it already"},
        307: {"description": "It lies in a bucket; a link that is good for an hour"},
        **_problems,
    },
)
async def get_result(
    job_id: str,
    request: Request,
    services: FromServices,
    tenant: Tenant,
    page: Annotated[int, Query(ge=1)] = 1,
    disposition: Literal["inline", "attachment"] = "inline",
) -> Response:
    """A page of the sheet; `disposition=attachment` makes browsers save it."""
    result, stored = await services.jobs.result_page(tenant, job_id, page)
    sheet = SheetFile.of(job_id, page, result, stored)
    return await sheet_response(services.storage, sheet, request.headers, disposition)


@router.get(
    "/manifest",
    response_class=Response,
    responses={200: {"content": json_body("Manifest"), "description": "JSON"}, **_problems},
)
async def get_manifest(job_id: str, services: FromServices, tenant: Tenant) -> Response:
    """Where every image stands, its label, and where the label came from."""
    result = await services.jobs.result(tenant, job_id)
    return await read_manifest(services.storage, result)
