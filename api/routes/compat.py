"""The old service's endpoints, for callers that cannot be changed yet: docs/compatibility.md."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.byte_streams import read_whole
from api.compat.grid_service import Grid, GridService
from api.compat.old_requests import OldRequest, old_layout, required
from api.dependencies import Body, FromServices, get_operator
from api.layout_preview import preview
from api.problems import MEDIA_TYPE
from api.validation import parse_json
from shared.errors import ErrorCode, GridscribeError
from shared.layout_preview import PreviewRequest
from shared.problems import STATUSES, problem
from shared.templates import BUILT_IN_TEMPLATES, TemplateName

_DENIED = (ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN)


class _OldStyleRoute(APIRoute):
    """Errors are problems with the old service's fields beside (RFC 9457, section 3.2)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_old_style(request: Request) -> Response:
            try:
                return await handle(request)
            except GridscribeError as error:
                if error.code in _DENIED:
                    raise
                request.state.refusal = error.code.value
                return JSONResponse(
                    _failed(error, request.url.path), STATUSES[error.code], media_type=MEDIA_TYPE
                )

        return handle_old_style


async def get_old_request(services: FromServices, body: Body) -> OldRequest:
    limit = services.settings.max_spec_bytes
    too_large = GridscribeError(
        ErrorCode.REQUEST_TOO_LARGE, f"the request is larger than {limit:,} bytes"
    )
    return parse_json(OldRequest, await read_whole(body, limit, too_large))


def get_grids(services: FromServices) -> GridService:
    if services.grids is None:
        raise RuntimeError("the routes of the old service are there, but not their folder")
    return services.grids


class _Named(BaseModel):
    name: TemplateName


Operator = Annotated[str, Depends(get_operator)]
Old = Annotated[OldRequest, Depends(get_old_request)]
Grids = Annotated[GridService, Depends(get_grids)]
_schema = {"schema": OldRequest.model_json_schema()}
_body = {"requestBody": {"required": True, "content": {"application/json": _schema}}}

router = APIRouter(
    prefix="/api",
    tags=["compatibility"],
    # Before anything else of the request is looked at.
    dependencies=[Depends(get_operator)],
    route_class=_OldStyleRoute,
    deprecated=True,
)


@router.post("/create-labeled-grid", openapi_extra=_body)
async def create_labeled_grid(grids: Grids, tenant: Operator, request: Old) -> dict[str, Any]:
    """Make a sheet of a folder, or one of each of `batch_dirs`; answers when it is written."""
    if not request.batch_dirs:
        return _made(await grids.create(tenant, request), request)
    made = await grids.create_batch(tenant, request)
    results = [
        {"input_dir": folder}
        | (_made(one, request) if isinstance(one, Grid) else _failed(one, folder))
        for folder, one in zip(request.batch_dirs, made, strict=True)
    ]
    written = sum(isinstance(one, Grid) for one in made)
    return {
        "success": written == len(made),
        "message": f"{written} of {len(made)} sheets written",
        "output_path": request.output_path,
        "results": results,
    }


@router.post("/preview-grid", openapi_extra=_body)
async def preview_grid(
    services: FromServices, grids: Grids, tenant: Operator, request: Old
) -> dict[str, Any]:
    """The geometry of the sheet of a folder, or of `count` images."""
    if request.count is None:
        count = await grids.count_images(required(request.input_dir, "input_dir"))
    else:
        count = request.count
    if count == 0:
        raise GridscribeError(ErrorCode.NO_IMAGES, f"{request.input_dir!r} has no images")
    planned = PreviewRequest(spec=request.spec(), count=count)
    own = await services.templates.for_spec(tenant, planned.spec.template)
    sheet = await to_thread.run_sync(preview, planned, services.settings, own)
    return {"success": True, "image_count": count, **sheet.model_dump(mode="json")}


@router.get("/grid-templates")
async def list_grid_templates(services: FromServices, tenant: Operator) -> dict[str, Any]:
    own = await services.templates.own(tenant)
    templates = {**BUILT_IN_TEMPLATES, **own}
    return {"success": True, "templates": {name: old_layout(t) for name, t in templates.items()}}


@router.post("/save-grid-template", openapi_extra=_body)
async def save_grid_template(
    services: FromServices, tenant: Operator, request: Old
) -> dict[str, Any]:
    """Keep a layout under `name`, in place of an earlier one."""
    named = parse_json(_Named, request.model_dump_json(include={"name"}).encode())
    await services.templates.save(tenant, named.name, request.template(), replace=True)
    return {"success": True, "message": f"template {named.name!r} saved", "name": named.name}


@router.post("/load-grid-template", openapi_extra=_body)
async def load_grid_template(
    services: FromServices, tenant: Operator, request: Old
) -> dict[str, Any]:
    name = required(request.name, "name")
    template = await services.templates.get(tenant, name)
    return {"success": True, "name": name, "template": old_layout(template)}


def _made(grid: Grid, request: OldRequest) -> dict[str, Any]:
    ignored = [f"unknown field {name!r} ignored" for name in request.ignored]
    return {
        "success": True,
        "message": f"sheet written to {grid.paths[0]}",
        "output_path": grid.paths[0],
        "output_paths": grid.paths,
        "job_id": grid.job_id,
        "warnings": [*ignored, *grid.warnings],
    }


def _failed(error: GridscribeError, instance: str) -> dict[str, Any]:
    told = problem(
        error.code, STATUSES[error.code], error.detail, errors=error.errors, instance=instance
    )
    return {
        "success": False,
        "error": error.detail,
        "message": error.detail,
        **told.model_dump(mode="json", exclude_none=True),
    }
