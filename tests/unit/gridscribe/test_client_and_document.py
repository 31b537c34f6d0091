"""The client library against `docs/openapi.json`: the same addresses, the same shapes."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gridscribe import AsyncClient, Client
from gridscribe.client.binding import AsyncResource, BlockingResource
from gridscribe.client.flow import Open, Request, Send
from gridscribe.client.wire import Wire
from shared.inbound_sources import Adapter, SourceRequest
from shared.job_spec import JobSpec, Template
from shared.layout_preview import PreviewRequest
from shared.schemas import Job
from shared.webhooks import NewWebhookEndpoint, WebhookEndpointChange

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())

NOT_OFFERED = {
    "GET /healthz": "for those who watch over processes",
    "GET /metrics": "for Prometheus",
    "HEAD /v1/inbound/{source_id}": "for senders of events",
    "OPTIONS /v1/inbound/{source_id}": "for senders of events",
    "POST /v1/inbound/{source_id}": "for senders of events",
    "POST /v1/inbound/{source_id}/{secret}": "for senders of events",
}
"""Operations without a method, with the reason."""

ARGUMENTS: dict[str, Any] = {
    "images": [("a.png", b"1")],
    "image": ("a.png", b"1"),
    "spec": JobSpec(),
    "template": Template(),
    "source": SourceRequest(name="farm", adapter=Adapter.CLOUDEVENTS),
    "path": Path("sheet.png"),
    "count": 1,
    "endpoint": NewWebhookEndpoint(url="https://example.com/"),
    "change": WebhookEndpointChange(),
}


def resources(client: Client | AsyncClient) -> dict[str, BlockingResource | AsyncResource]:
    kinds = (BlockingResource, AsyncResource)
    return {name: each for name, each in vars(client).items() if isinstance(each, kinds)}


def methods(resource: object) -> dict[str, Callable[..., Any]]:
    found = {name: getattr(binding, "flow", None) for name, binding in vars(type(resource)).items()}
    return {name: flow for name, flow in found.items() if flow}


def first_request(resource: Any, flow: Callable[..., Any]) -> Request[Any]:
    """What a call sends first, given arguments that mean little."""
    wanted = list(inspect.signature(flow).parameters.values())[1:]
    given = {p.name: ARGUMENTS.get(p.name, "ID") for p in wanted if p.default is p.empty}
    step = next(flow(resource.flows, **given))
    assert isinstance(step, Send | Open)
    return step.request


def calls() -> Iterator[tuple[str, Request[Any]]]:
    for name, resource in resources(Client()).items():
        for method, flow in methods(resource).items():
            yield f"{name}.{method}", first_request(resource, flow)


def operation_of(request: Request[Any]) -> tuple[str, dict[str, Any]]:
    for path, operations in DOCUMENT["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
        if re.fullmatch(pattern, request.path) and request.method.lower() in operations:
            return f"{request.method} {path}", operations[request.method.lower()]
    raise AssertionError(f"no such operation: {request.method} {request.path}")


CALLS = {name: request for name, request in calls() if request.path != "/openapi.json"}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_asks_what_there_is_and_reads_its_very_shape(name: str) -> None:
    request = CALLS[name]
    _, operation = operation_of(request)
    known = {parameter["name"] for parameter in operation.get("parameters", ())}
    assert {*request.params, *request.headers} <= known
    answer = next(it for status, it in operation["responses"].items() if status.startswith("2"))
    shape = answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
    if request.answer is None:
        assert shape == ""
        return
    assert shape.rpartition("/")[2] == request.answer.__name__
    documented = DOCUMENT["components"]["schemas"]
    ours = request.answer.model_json_schema(mode="serialization")
    for title, schema in {request.answer.__name__: ours, **ours.get("$defs", {})}.items():
        told = next(documented[it] for it in (title, f"{title}-Output") if it in documented)
        assert set(schema.get("properties", ())) == set(told.get("properties", ())), title
        assert schema.get("enum") == told.get("enum"), title


def test_every_operation_has_a_method() -> None:
    called = {operation_of(request)[0] for request in CALLS.values()} | {
        # What begins with another request, or with none of its own.
        "GET /v1/jobs/{job_id}/result",
    }
    there = {
        f"{method.upper()} {path}"
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert there - called <= set(NOT_OFFERED), "add a method to `gridscribe.client`, or the reason"


def test_a_preview_can_be_asked_for_all_that_there_is() -> None:
    assert set(PreviewRequest.model_fields) == set(
        inspect.signature(Client().jobs.preview).parameters
    )


def test_both_clients_offer_the_same() -> None:
    blocking, awaited = resources(Client()), resources(AsyncClient())
    assert {name: methods(it) for name, it in blocking.items()} == {
        name: methods(it) for name, it in awaited.items()
    }


def test_a_method_has_the_signature_and_the_words_of_its_flow() -> None:
    signature = inspect.signature(Client().jobs.wait)
    assert list(signature.parameters) == ["job_id", "timeout", "on_progress"]
    assert "JobTimeoutError" in (Client().jobs.wait.__doc__ or "")
    assert Job.__name__ in str(signature)
    assert Wire("", 0).retries == 0
