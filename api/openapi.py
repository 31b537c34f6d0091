"""The OpenAPI description, with the shapes of bodies that the routes read themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.openapi_examples import EXAMPLES
from api.problems import described_problem, documented
from shared.errors import ErrorCode
from shared.inbound_sources import SourceRequest
from shared.job_spec import JobRequest, RelabelRequest, Template
from shared.layout_preview import PreviewRequest
from shared.schemas import Manifest, PresignRequest, Problem
from shared.templates import NamedTemplate
from shared.webhooks import NewWebhookEndpoint, SecretRotation, WebhookEndpointChange

_REFERENCE = "#/components/schemas/{model}"

_REFERENCED = (
    JobRequest,
    PreviewRequest,
    RelabelRequest,
    PresignRequest,
    Problem,
    Manifest,
    NamedTemplate,
    Template,
    SourceRequest,
    NewWebhookEndpoint,
    WebhookEndpointChange,
    SecretRotation,
)
"""Models that routes name without FastAPI's help."""


def json_body(model: str) -> dict[str, Any]:
    """For a request body of JSON: the media types of an operation."""
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model)}}}


def multipart_body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"multipart/form-data": {"schema": schema}}


def binary(*media_types: str) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media_types}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Built once, on first use."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        _, added = models_json_schema(
            [(model, "validation") for model in _REFERENCED],
            ref_template=_REFERENCE,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in added["$defs"].items():
            schemas.setdefault(name, schema)
        for name, example in EXAMPLES.items():
            schemas[name]["examples"] = [example]
        _drop_framework_errors(document)
        _add_common_errors(document)
        app.openapi_schema = document
    return app.openapi_schema


def _drop_framework_errors(document: dict[str, Any]) -> None:
    """FastAPI describes its own answer to bad parameters; ours is a problem with status 400."""
    for operations in document["paths"].values():
        for operation in operations.values():
            answer = operation["responses"].get("422", {})
            if "application/json" in answer.get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _add_common_errors(document: dict[str, Any]) -> None:
    """What any route answers to bad parameters, and those that take several types of body to any
    other type."""
    for operations in document["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            parameters = operation.get("parameters", [])
            if any(it["in"] != "path" or "pattern" in it["schema"] for it in parameters):
                for status, answer in documented(ErrorCode.INVALID_REQUEST).items():
                    answers.setdefault(str(status), answer)
            # A route that takes one type of body reads whatever comes as that.
            if len(operation.get("requestBody", {}).get("content", {})) > 1:
                answers.setdefault("415", described_problem(415, ["unsupported_media_type"]))
            operation["responses"] = dict(sorted(answers.items()))
