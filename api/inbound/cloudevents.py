"""CloudEvents 1.0 over HTTP, structured and binary: what the bridges of render farms send."""

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import Field, StringConstraints

from api.inbound.message import MAX_OUTPUTS, Identifier, Message, Payload, invalid
from shared.inbound_collections import Frame, InboundEvent, Output
from shared.inbound_sources import SourceFields
from shared.job_spec import Metadata, ShortText

STRUCTURED = "application/cloudevents+json"
_DATA = {"render.frame.finished", "render.job.finished", "render.job.failed"}

_Text = Annotated[str, StringConstraints(max_length=2000)]
_FrameNumber = Annotated[int, Field(ge=-(10**9), le=10**9)]


class _Output(Payload):
    url: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    name: ShortText | None = None
    label: _Text | None = None
    metadata: Metadata = Field(default_factory=dict)


class _RenderData(Payload):
    job_id: Identifier
    name: ShortText = ""
    frame: _FrameNumber | None = None
    layer: ShortText = ""
    """Of those that render the same frames: a frame is known by both."""
    outputs: Annotated[tuple[_Output, ...], Field(max_length=MAX_OUTPUTS)] = ()
    frames: Annotated[int, Field(ge=0, le=10**6)] = 0
    """How many the job has, all layers together."""
    error: _Text = ""


class _Envelope(Payload):
    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    type: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    time: datetime | None = None


class _WithData(Payload):
    data: _RenderData


class _InBase64(Payload):
    data_base64: str | None = None


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:  # noqa: ARG001 (every adapter's signature)
    media_type = message.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == STRUCTURED:
        envelope = _Envelope.of(message.body)
        data = _structured_data(message.body) if envelope.type in _DATA else None
    elif "ce-specversion" in message.headers:
        envelope = _Envelope.of(_header_attributes(message))
        data = _RenderData.of(message.body) if envelope.type in _DATA else None
    else:
        raise invalid(
            "Content-Type",
            f"send {STRUCTURED}, or the headers ce-id, ce-source, ce-type and ce-specversion",
        )
    keys = (f"{envelope.source}\n{envelope.id}",)
    if data is None:
        return (InboundEvent(keys),)
    return (_event(keys, envelope, data),)


def _event(keys: tuple[str, ...], envelope: _Envelope, data: _RenderData) -> InboundEvent:
    at_ms = 0 if envelope.time is None else max(0, round(envelope.time.timestamp() * 1000))
    frames: tuple[Frame, ...] = ()
    if data.outputs and envelope.type != "render.job.failed":
        outputs = tuple(Output(**output.model_dump(exclude_unset=True)) for output in data.outputs)
        known_by_number = data.frame is not None
        key = f"{data.layer}={data.frame}" if known_by_number else data.outputs[0].url
        frames = (Frame(key=key, number=data.frame, at_ms=at_ms, outputs=outputs),)
    match envelope.type:
        case "render.job.failed":
            reason = data.error or "the farm did not say why"
            return InboundEvent(keys, data.job_id, data.name, ends="failed", detail=reason)
        case "render.job.finished":
            return InboundEvent(
                keys, data.job_id, data.name, frames, ends="finished", expected=data.frames
            )
        case _:
            return InboundEvent(keys, data.job_id, data.name, frames, expected=data.frames)


def _structured_data(body: bytes) -> _RenderData:
    """JSON Event Format 1.0, section 3.1."""
    packed = _InBase64.of(body)
    if packed.data_base64 is None:
        whole = _WithData.of(body)
        return whole.data
    try:
        unpacked = base64.b64decode(packed.data_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("data_base64", "not valid base64") from error
    return _RenderData.of(unpacked)


def _header_attributes(message: Message) -> bytes:
    """HTTP Protocol Binding 1.0, section 3.1.3: values are percent-encoded."""
    attributes = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in message.headers.items()
        if name.startswith("ce-")
    }
    return json.dumps(attributes).encode()
