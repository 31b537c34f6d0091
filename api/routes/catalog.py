"""What this deployment offers."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.dependencies import FromServices
from shared.templates import BUILT_IN_TEMPLATES, Template

router = APIRouter(prefix="/v1", tags=["catalog"])


class OfferedModel(BaseModel):
    name: str
    """For `spec.clip_model`."""
    default: bool


class ModelList(BaseModel):
    data: tuple[OfferedModel, ...]


class NamedTemplate(BaseModel):
    name: str
    """For `spec.template`."""
    built_in: bool
    spec: Template
    """The fields it decides."""


class TemplateList(BaseModel):
    data: tuple[NamedTemplate, ...]


@router.get("/models")
async def list_models(services: FromServices) -> ModelList:
    """The captioning models; without `spec.clip_model` the default one is asked."""
    names = services.settings.clip_models
    return ModelList(data=tuple(OfferedModel(name=n, default=n == names[0]) for n in names))


@router.get("/templates")
async def list_templates() -> TemplateList:
    return TemplateList(
        data=tuple(
            NamedTemplate(name=name, built_in=True, spec=template)
            for name, template in BUILT_IN_TEMPLATES.items()
        )
    )
