"""The written reference, made from the OpenAPI document: `python -m api.reference docs`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.app import create_app
from shared.settings import Settings

API_VERSION = "v1"
"""In the written document; the running service names its own version."""

_BEGIN = """\
# API reference

Made by `make openapi` from [openapi.json](openapi.json), which holds every field and every shape; a
running service shows the same at `/docs`. Errors are problem details (RFC 9457) with stable codes.
"""


def document() -> dict[str, Any]:
    """The OpenAPI document of a service with default settings."""
    found = create_app(Settings()).openapi()
    return {**found, "info": {**found["info"], "version": API_VERSION}}


def write_reference(folder: Path) -> None:
    """Write `openapi.json` and `api-reference.md` into `folder`."""
    found = document()
    (folder / "openapi.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    (folder / "api-reference.md").write_text(reference_page(found))


def reference_page(document: dict[str, Any]) -> str:
    """A page of Markdown: each operation with its parameters, its body and its answers."""
    operations = (
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    parts = ["\n".join(_operation(*operation)) for operation in operations]
    return "\n".join([_BEGIN, *parts])


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"## `{method} {path}`\n"
    yield operation.get("description", operation.get("summary", "")) + "\n"
    if parameters := operation.get("parameters"):
        yield "| Parameter | In | Meaning |\n| --- | --- | --- |"
        for parameter in parameters:
            yield f"| `{parameter['name']}` | {parameter['in']} | {_meaning(parameter)} |"
        yield ""
    if body := operation.get("requestBody"):
        yield f"Body: {_content(body)}\n"
    yield "| Answer | Body | Meaning |\n| --- | --- | --- |"
    for status, answer in sorted(operation["responses"].items()):
        yield f"| {status} | {_content(answer)} | {_line(answer['description'])} |"
    yield ""


def _meaning(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    words = [parameter.get("description", "")]
    if "enum" in schema:
        words.append("one of " + ", ".join(f"`{value}`" for value in schema["enum"]))
    if "default" in schema:
        words.append(f"default `{schema['default']}`")
    if parameter.get("required"):
        words.append("required")
    return _line("; ".join(filter(None, words)))


def _content(holder: dict[str, Any]) -> str:
    """The media types of a body, those of JSON with the name of their shape."""
    content: dict[str, Any] = holder.get("content", {})
    shapes = []
    for media_type, described in content.items():
        shape = described.get("schema", {}).get("$ref", "").rpartition("/")[2]
        shapes.append(f"`{media_type}` {shape}".strip())
    return ", ".join(shapes)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]))
