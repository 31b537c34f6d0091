"""One request of a sender, before anything of it is believed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, StringConstraints

from api.validation import parse_json
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.inbound_collections import Frame, Output

MAX_OUTPUTS = 100
"""Of one frame."""

_NUMBER = re.compile(r"(\d{1,9})(?!.*\d)")
_MAX_TOLD = 20
_LONGEST_PATH = 500


@dataclass(frozen=True, slots=True)
class Message:
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)
    link_secret: str | None = field(default=None, repr=False)
    """Out of the address."""
    signed_id: str = ""
    """Of the message, where its signature covers one."""


class Payload(BaseModel):
    """What of a sender's JSON is read; the rest is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Raises `GridscribeError` INVALID_REQUEST, naming what is wrong."""
        return parse_json(cls, body)


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Identifier = Annotated[
    str, BeforeValidator(_as_text), StringConstraints(min_length=1, max_length=500)
]
"""A number or a text."""


def invalid(location: str, detail: str) -> GridscribeError:
    return GridscribeError(
        ErrorCode.INVALID_REQUEST,
        f"{location}: {detail}",
        errors=[ErrorLocation(location, detail)],
    )


def last_number(name: str) -> int | None:
    """Of a file's name: 12 of `shot7.0012.png`."""
    found = _NUMBER.search(name.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    return None if found is None else int(found[1])


def told_values(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Of a generation's parameters what is short enough for a label: texts and numbers."""
    short = {
        name[:200]: value[:2000] if isinstance(value, str) else value
        for name, value in values.items()
        if isinstance(value, str | int | float | bool) and not _is_data(value)
    }
    return dict(list(short.items())[:_MAX_TOLD])


def _is_data(value: JsonValue) -> bool:
    return isinstance(value, str) and value.startswith(("data:", "http://", "https://"))


def picture(value: str, name: str | None = None, **about: Any) -> Output:
    """What an address, a path, a data URI or bare base64 names."""
    if value.startswith("data:"):
        return Output(data=value.partition(",")[2], name=name, **about)
    # JPEG's base64 begins with a slash as well.
    if ":" in value or (value.startswith(("/", "\\")) and len(value) < _LONGEST_PATH):
        return Output(url=value[:4096], name=name, **about)
    return Output(data=value, name=name, **about)


def frames_of(outputs: list[Output]) -> tuple[Frame, ...]:
    """One frame each, in the order given: what a generation brought at once."""
    return tuple(
        Frame(key=str(at), number=at, is_position=True, outputs=(output,))
        for at, output in enumerate(outputs)
    )
