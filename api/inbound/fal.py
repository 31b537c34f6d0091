"""fal: the outcome of a queued request."""

from typing import Annotated

from pydantic import JsonValue, StringConstraints

from api.inbound.message import (
    MAX_OUTPUTS,
    Identifier,
    Message,
    Payload,
    frames_of,
    picture,
    told_values,
)
from shared.inbound_collections import InboundEvent, Output
from shared.inbound_sources import SourceFields

_Text = Annotated[str, StringConstraints(max_length=200)]


class _Outcome(Payload):
    request_id: Identifier
    status: _Text
    payload: JsonValue = None
    error: JsonValue = None


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:  # noqa: ARG001 (every adapter's signature)
    outcome = _Outcome.of(message.body)
    keys = (outcome.request_id,)
    match outcome.status:
        case "OK":
            frames = frames_of(_outputs(outcome.payload))
            return (
                InboundEvent(
                    keys, outcome.request_id, frames=frames, ends="finished", expected=len(frames)
                ),
            )
        case "ERROR":
            reason = str(outcome.error or "fal did not say why")[:2000]
            return (InboundEvent(keys, outcome.request_id, ends="failed", detail=reason),)
        case _:
            return (InboundEvent(keys),)


def _outputs(payload: JsonValue) -> list[Output]:
    """Models answer with `images`, or with one `image`; each a file with its `url`."""
    if not isinstance(payload, dict):
        return []
    images, image = payload.get("images"), payload.get("image")
    files = images if isinstance(images, list) else [image]
    about = told_values(payload)
    found = []
    for file in files[:MAX_OUTPUTS]:
        if isinstance(file, dict) and isinstance(url := file.get("url"), str):
            name = file.get("file_name")
            named = name[-200:] if isinstance(name, str) else None
            found.append(picture(url, named, metadata=about))
    return found
