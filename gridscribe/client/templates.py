"""Layouts kept by the service: `client.templates`."""

import json
from typing import Any

from gridscribe.client.binding import AsyncResource, Awaited, Blocking, BlockingResource
from gridscribe.client.flow import Flow, Request
from gridscribe.client.paths import path_of
from gridscribe.client.wire import Wire
from shared.errors import ErrorCode
from shared.job_spec import Template
from shared.templates import ListedTemplate, TemplateList


class TemplateFlows:
    """Each raises `ApiError` or `ServerUnreachableError`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Flow[tuple[ListedTemplate, ...]]:
        """The built-in ones first, then your own."""
        found = yield from self._wire.ask(Request("GET", path_of("templates"), TemplateList))
        return found.data

    def get(self, name: str) -> Flow[ListedTemplate]:
        """One of them, by name."""
        request = Request("GET", path_of("templates", name), ListedTemplate)
        return (yield from self._wire.ask(request))

    def create(self, name: str, template: Template) -> Flow[ListedTemplate]:
        """Save a template under a name that is free."""
        body = json.dumps({"name": name, "spec": _fields(template)}).encode()
        request = Request("POST", path_of("templates"), ListedTemplate, json=body)
        return (yield from self._wire.ask(request))

    def save(self, name: str, template: Template) -> Flow[ListedTemplate]:
        """Save a template, in place of an earlier one of this name."""
        path = path_of("templates", name)
        body = json.dumps(_fields(template)).encode()
        request = Request("PUT", path, ListedTemplate, json=body)
        return (yield from self._wire.ask(request))

    def delete(self, name: str) -> Flow[None]:
        """Jobs that were made with it keep its layout."""
        yield from self._wire.exchange(
            Request(
                *("DELETE", path_of("templates", name)),
                done_codes=frozenset({ErrorCode.TEMPLATE_NOT_FOUND}),
            )
        )


def _fields(template: Template) -> dict[str, Any]:
    return template.model_dump(mode="json", exclude_unset=True)


class Templates(BlockingResource):
    """`Client.templates`."""

    list = Blocking(TemplateFlows.list)
    get = Blocking(TemplateFlows.get)
    create = Blocking(TemplateFlows.create)
    save = Blocking(TemplateFlows.save)
    delete = Blocking(TemplateFlows.delete)


class AsyncTemplates(AsyncResource):
    """`AsyncClient.templates`."""

    list = Awaited(TemplateFlows.list)
    get = Awaited(TemplateFlows.get)
    create = Awaited(TemplateFlows.create)
    save = Awaited(TemplateFlows.save)
    delete = Awaited(TemplateFlows.delete)
