"""Replicate: the prediction, as its webhook brings it."""

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from api.inbound.message import Identifier, Message, Payload, frames_of, picture, told_values
from shared.inbound_collections import InboundEvent
from shared.inbound_sources import SourceFields

_Text = Annotated[str, StringConstraints(max_length=200)]


class _Prediction(Payload):
    id: Identifier
    status: _Text
    model: _Text = ""
    input: dict[str, JsonValue] = Field(default_factory=dict)
    output: JsonValue = None
    error: JsonValue = None


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:  # noqa: ARG001 (every adapter's signature)
    prediction = _Prediction.of(message.body)
    # One prediction tells of itself several times: each status is an event of its own.
    keys = (f"{prediction.id}\n{prediction.status}",)
    match prediction.status:
        case "succeeded":
            about = told_values(prediction.input)
            given = prediction.output
            listed = given if isinstance(given, list) else [given]
            outputs = [picture(it, metadata=about) for it in listed if isinstance(it, str)]
            return (
                InboundEvent(
                    keys,
                    prediction.id,
                    prediction.model,
                    frames_of(outputs),
                    ends="finished",
                    expected=len(outputs),
                ),
            )
        case "failed":
            reason = str(prediction.error or "Replicate did not say why")[:2000]
            return (
                InboundEvent(keys, prediction.id, prediction.model, ends="failed", detail=reason),
            )
        case _:
            return (InboundEvent(keys),)
