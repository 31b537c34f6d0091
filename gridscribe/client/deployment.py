"""What a service offers and how it is: `client.models`, `client.vocabularies`, `client.service`."""

import httpx
from pydantic import BaseModel

from gridscribe.client.answers import problem_of
from gridscribe.client.binding import AsyncResource, Awaited, Blocking, BlockingResource
from gridscribe.client.errors import ApiError
from gridscribe.client.flow import Flow, Request
from gridscribe.client.paths import path_of
from gridscribe.client.wire import Wire, parsed
from shared.catalog import ModelList, OfferedModel, OfferedVocabulary, VocabularyList
from shared.readiness import Readiness


class ModelFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Flow[tuple[OfferedModel, ...]]:
        """The captioning models, for `spec.clip_model`; the default one first."""
        return (yield from self._wire.ask(Request("GET", path_of("models"), ModelList))).data


class VocabularyFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Flow[tuple[OfferedVocabulary, ...]]:
        """What captions are chosen from, for `spec.vocabulary`."""
        request = Request("GET", path_of("vocabularies"), VocabularyList)
        return (yield from self._wire.ask(request)).data


class ServiceFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def ready(self) -> Flow[Readiness]:
        """What of the service is there and what is missing; asked once, whatever the answer."""
        response = yield from self._wire.once(Request("GET", "/readyz", Readiness))
        if response.status_code in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            return parsed(Readiness, response)
        raise ApiError(problem_of(response))

    def version(self) -> Flow[str]:
        """Of the service's program."""
        document = yield from self._wire.ask(Request("GET", "/openapi.json", OpenApiDocument))
        return document.info.version


class OpenApiInfo(BaseModel):
    version: str


class OpenApiDocument(BaseModel):
    """What is read of it."""

    info: OpenApiInfo


class Models(BlockingResource):
    """`Client.models`."""

    list = Blocking(ModelFlows.list)


class AsyncModels(AsyncResource):
    """`AsyncClient.models`."""

    list = Awaited(ModelFlows.list)


class Vocabularies(BlockingResource):
    """`Client.vocabularies`."""

    list = Blocking(VocabularyFlows.list)


class AsyncVocabularies(AsyncResource):
    """`AsyncClient.vocabularies`."""

    list = Awaited(VocabularyFlows.list)


class Service(BlockingResource):
    """`Client.service`."""

    ready = Blocking(ServiceFlows.ready)
    version = Blocking(ServiceFlows.version)


class AsyncService(AsyncResource):
    """`AsyncClient.service`."""

    ready = Awaited(ServiceFlows.ready)
    version = Awaited(ServiceFlows.version)
