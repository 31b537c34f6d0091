"""What this deployment offers."""

import logging

from fastapi import APIRouter

from api.dependencies import FromServices
from shared.catalog import (
    ModelList,
    OfferedModel,
    OfferedVocabulary,
    VocabularyFacet,
    VocabularyList,
)
from shared.errors import GridscribeError
from shared.named_vocabularies import BUILT_IN, DEFAULT, NamedVocabularies

router = APIRouter(prefix="/v1", tags=["catalog"])
logger = logging.getLogger(__name__)


@router.get("/models")
async def list_models(services: FromServices) -> ModelList:
    """The captioning models; without `spec.clip_model` the default one is asked."""
    names = services.settings.clip_models
    return ModelList(data=tuple(OfferedModel(name=n, default=n == names[0]) for n in names))


@router.get("/vocabularies")
def list_vocabularies(services: FromServices) -> VocabularyList:
    """What captions are chosen from; one whose files have a mistake is left out and logged."""
    named = NamedVocabularies(services.settings.vocabularies_dir)
    offered = []
    for name in named.names():
        try:
            vocabulary = named.get(name)
        except GridscribeError as error:
            logger.warning("not offered: %s", error)
            continue
        facets = tuple(VocabularyFacet(name=f.name, terms=len(f.terms)) for f in vocabulary.facets)
        offered.append(
            OfferedVocabulary(
                name=name, default=name == DEFAULT, built_in=name in BUILT_IN, facets=facets
            )
        )
    return VocabularyList(data=tuple(offered))
