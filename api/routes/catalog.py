"""What this deployment offers."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.dependencies import FromServices

router = APIRouter(prefix="/v1", tags=["catalog"])


class OfferedModel(BaseModel):
    name: str
    """For `spec.clip_model`."""
    default: bool


class ModelList(BaseModel):
    data: tuple[OfferedModel, ...]


@router.get("/models")
async def list_models(services: FromServices) -> ModelList:
    """The captioning models; without `spec.clip_model` the default one is asked."""
    names = services.settings.clip_models
    return ModelList(data=tuple(OfferedModel(name=n, default=n == names[0]) for n in names))
