"""RunPod: the outcome of a serverless job, with what worker-comfyui puts into it."""

from typing import Annotated

from pydantic import JsonValue, StringConstraints

from api.inbound.message import MAX_OUTPUTS, Identifier, Message, Payload, frames_of, picture
from shared.inbound_collections import InboundEvent, Output
from shared.inbound_sources import SourceFields

_Text = Annotated[str, StringConstraints(max_length=200)]
_FAILURES = frozenset({"FAILED", "TIMED_OUT", "CANCELLED"})


class _Outcome(Payload):
    id: Identifier
    status: _Text
    output: JsonValue = None
    error: JsonValue = None


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:  # noqa: ARG001 (every adapter's signature)
    outcome = _Outcome.of(message.body)
    keys = (f"{outcome.id}\n{outcome.status}",)
    if outcome.status in _FAILURES:
        reason = str(outcome.error or f"RunPod says {outcome.status}")[:2000]
        return (InboundEvent(keys, outcome.id, ends="failed", detail=reason),)
    if outcome.status != "COMPLETED":
        return (InboundEvent(keys),)
    frames = frames_of(_outputs(outcome.output))
    return (InboundEvent(keys, outcome.id, frames=frames, ends="finished", expected=len(frames)),)


def _outputs(output: JsonValue) -> list[Output]:
    """worker-comfyui's `images`, each with `data` and `filename`; elsewhere texts."""
    images = output.get("images") if isinstance(output, dict) else output
    found = []
    for image in (images if isinstance(images, list) else [images])[:MAX_OUTPUTS]:
        if isinstance(image, str):
            found.append(picture(image))
        elif isinstance(image, dict) and isinstance(data := image.get("data"), str):
            name = image.get("filename")
            found.append(picture(data, name[-200:] if isinstance(name, str) else None))
    return found
