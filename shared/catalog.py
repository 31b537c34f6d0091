"""What a deployment offers: the shapes of `GET /v1/models` and `GET /v1/vocabularies`."""

from pydantic import BaseModel


class OfferedModel(BaseModel):
    name: str
    """For `spec.clip_model`."""
    default: bool


class ModelList(BaseModel):
    data: tuple[OfferedModel, ...]


class VocabularyFacet(BaseModel):
    name: str
    terms: int
    """How many; a term's synonyms do not count."""


class OfferedVocabulary(BaseModel):
    name: str
    """For `spec.vocabulary`."""
    default: bool
    built_in: bool
    facets: tuple[VocabularyFacet, ...]
    """In the order they stand in a caption."""


class VocabularyList(BaseModel):
    data: tuple[OfferedVocabulary, ...]
