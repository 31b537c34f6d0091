"""Layout presets: the built-in ones, and each tenant's own."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.byte_streams import read_whole
from api.dependencies import Body, FromServices, Tenant
from api.openapi import json_body
from api.problems import documented
from api.validation import parse_json
from shared.errors import ErrorCode as Code
from shared.errors import GridscribeError
from shared.job_spec import Template
from shared.settings import Settings
from shared.templates import (
    BUILT_IN_TEMPLATES,
    ListedTemplate,
    NamedTemplate,
    TemplateList,
    TemplateName,
)

router = APIRouter(prefix="/v1/templates", tags=["templates"])

_writing = (
    Code.INVALID_REQUEST,
    Code.REQUEST_TOO_LARGE,
    Code.REQUEST_TOO_SLOW,
    Code.INVALID_SPEC,
    Code.TEMPLATE_READ_ONLY,
    Code.QUOTA_EXCEEDED,
    Code.RATE_LIMITED,
)


Name = Annotated[TemplateName, Path(description="As in `spec.template`")]


@router.get("", response_model_exclude_unset=True)
async def list_templates(services: FromServices, tenant: Tenant) -> TemplateList:
    """The built-in ones first, then the caller's own."""
    own = await services.templates.own(tenant)
    return TemplateList(
        data=tuple(_listed(name, spec) for name, spec in {**BUILT_IN_TEMPLATES, **own}.items())
    )


@router.post(
    "",
    status_code=201,
    response_model_exclude_unset=True,
    responses=documented(*_writing, Code.TEMPLATE_EXISTS),
    openapi_extra={"requestBody": {"required": True, "content": json_body("NamedTemplate")}},
)
async def create_template(
    response: Response, services: FromServices, tenant: Tenant, body: Body
) -> ListedTemplate:
    """Save a template under a name that is free."""
    given = parse_json(NamedTemplate, await _read(body, services.settings))
    await services.templates.save(tenant, given.name, given.spec, replace=False)
    response.headers["Location"] = f"{router.prefix}/{given.name}"
    return _listed(given.name, given.spec)


@router.get(
    "/{name}", response_model_exclude_unset=True, responses=documented(Code.TEMPLATE_NOT_FOUND)
)
async def get_template(name: Name, services: FromServices, tenant: Tenant) -> ListedTemplate:
    return _listed(name, await services.templates.get(tenant, name))


@router.put(
    "/{name}",
    response_model_exclude_unset=True,
    responses={
        201: {"model": ListedTemplate, "description": "There was none of this name"},
        **documented(*_writing),
    },
    openapi_extra={"requestBody": {"required": True, "content": json_body("Template")}},
)
async def put_template(
    name: Name, response: Response, services: FromServices, tenant: Tenant, body: Body
) -> ListedTemplate:
    """Save a template, in place of an earlier one of this name."""
    spec = parse_json(Template, await _read(body, services.settings), root="spec")
    if await services.templates.save(tenant, name, spec, replace=True):
        response.status_code = 201
    return _listed(name, spec)


@router.delete(
    "/{name}",
    status_code=204,
    responses=documented(Code.TEMPLATE_NOT_FOUND, Code.TEMPLATE_READ_ONLY),
)
async def delete_template(name: Name, services: FromServices, tenant: Tenant) -> None:
    """Jobs that were made with it keep its layout."""
    await services.templates.delete(tenant, name)


def _listed(name: str, spec: Template) -> ListedTemplate:
    return ListedTemplate(name=name, built_in=name in BUILT_IN_TEMPLATES, spec=spec)


async def _read(body: Body, settings: Settings) -> bytes:
    limit = settings.max_spec_bytes
    too_large = GridscribeError(Code.REQUEST_TOO_LARGE, f"a template may have {limit:,} bytes")
    return await read_whole(body, limit, too_large)
