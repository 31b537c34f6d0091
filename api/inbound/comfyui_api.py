"""SaladTechnologies' comfyui-api: its `webhook_v2`, one message a workflow."""

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from api.inbound.message import (
    MAX_OUTPUTS,
    Identifier,
    Message,
    Payload,
    frames_of,
    picture,
)
from shared.inbound_collections import InboundEvent
from shared.inbound_sources import SourceFields

_Text = Annotated[str, StringConstraints(max_length=2000)]


class _Workflow(Payload):
    type: _Text
    id: Identifier
    images: Annotated[tuple[str, ...], Field(max_length=MAX_OUTPUTS)] = ()
    """Base64, or addresses where it stores what it made."""
    filenames: tuple[_Text, ...] = ()
    error: JsonValue = None


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:  # noqa: ARG001 (every adapter's signature)
    workflow = _Workflow.of(message.body)
    keys = (f"{workflow.id}\n{workflow.type}",)
    match workflow.type:
        case "prompt.complete":
            names = [*workflow.filenames, *[None] * len(workflow.images)]
            outputs = [
                picture(image, name and name[-200:])
                for image, name in zip(workflow.images, names, strict=False)
            ]
            frames = frames_of(outputs)
            return (
                InboundEvent(
                    keys, workflow.id, frames=frames, ends="finished", expected=len(frames)
                ),
            )
        case "prompt.failed":
            reason = str(workflow.error or "ComfyUI did not say why")[:2000]
            return (InboundEvent(keys, workflow.id, ends="failed", detail=reason),)
        case _:
            return (InboundEvent(keys),)
