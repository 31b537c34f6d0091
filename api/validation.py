"""JSON from outside into models, with errors that name the place and what stood there."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import ErrorCode, ErrorLocation, GridscribeError

MAX_ERRORS = 20
_SHOWN = 60

Model = TypeVar("Model", bound=BaseModel)


def parse_json(model: type[Model], data: bytes, *, root: str = "") -> Model:
    """Read `data` as a `model`; `root` is the path of the whole, `spec` for the part of that name.

    Raises `GridscribeError`: INVALID_SPEC where something in a spec is wrong, else INVALID_REQUEST.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        # The documentation's address would only lead callers to pydantic's own pages.
        raise invalid(error.errors(include_url=False), root) from error


def invalid(details: Sequence[ErrorDetails], root: str = "") -> GridscribeError:
    errors = [_location(detail, root) for detail in details[:MAX_ERRORS]]
    in_spec = all(error.location.split(".")[0] == "spec" for error in errors)
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return GridscribeError(
        ErrorCode.INVALID_SPEC if in_spec else ErrorCode.INVALID_REQUEST,
        f"{errors[0].location}: {errors[0].detail}{more}",
        errors=errors,
    )


def _location(detail: ErrorDetails, root: str) -> ErrorLocation:
    path = root
    for step in detail["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return ErrorLocation(path.lstrip(".")[:200] or "body", _message(detail))


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown field"
    message, given = detail["msg"], detail["input"]
    if detail["loc"][-1:] == ("secret",):
        return message
    if detail["type"] == "json_invalid" or not isinstance(given, str | int | float | None):
        return message
    shown = repr(given)
    return f"{message}, not {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}"
