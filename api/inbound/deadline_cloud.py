"""AWS Deadline Cloud by EventBridge: the state of a job, and no word of where its pictures lie."""

from typing import Annotated
from urllib.parse import quote

from pydantic import Field, StringConstraints

from api.inbound.message import Identifier, Message, Payload, invalid
from api.inbound.output_templates import filled
from shared.inbound_collections import Frame, InboundEvent, Output
from shared.inbound_sources import SourceFields

_CHANGE = "Job Run Status Change"
_MAX_FRAMES = 10_000

_Text = Annotated[str, StringConstraints(max_length=200)]
_Count = Annotated[int, Field(ge=0, le=10**6)]


class _Head(Payload):
    id: Identifier
    source: _Text = ""
    kind: Annotated[_Text, Field(alias="detail-type")] = ""


class _Detail(Payload):
    farm_id: Annotated[Identifier, Field(alias="farmId")]
    queue_id: Annotated[Identifier, Field(alias="queueId")]
    job_id: Annotated[Identifier, Field(alias="jobId")]
    status: Annotated[_Text, Field(alias="taskRunStatus")]
    tasks: dict[str, _Count] = Field(default_factory=dict, alias="taskRunStatusCounts")


class _Change(Payload):
    detail: _Detail


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:
    head = _Head.of(message.body)
    keys = (head.id,)
    if (head.source, head.kind) != ("aws.deadline", _CHANGE):
        return (InboundEvent(keys),)
    change = _Change.of(message.body)
    match change.detail.status:
        case "SUCCEEDED":
            frames = _frames(change.detail, source)
            return (
                InboundEvent(
                    keys,
                    change.detail.job_id,
                    frames=frames,
                    ends="finished",
                    expected=len(frames),
                ),
            )
        case "FAILED":
            reason = f"Deadline Cloud says FAILED: {change.detail.tasks or 'no counts'}"
            return (InboundEvent(keys, change.detail.job_id, ends="failed", detail=reason),)
        case _:
            return (InboundEvent(keys),)


def _frames(detail: _Detail, source: SourceFields) -> tuple[Frame, ...]:
    outputs = source.outputs
    if outputs is None:
        raise invalid("outputs", "the source has none, and these events do not say where they lie")
    if outputs.frames is None:
        first, last = 1, sum(detail.tasks.values())
    else:
        first, last = map(int, outputs.frames.split("-"))
    if not 0 <= last - first < _MAX_FRAMES:
        raise invalid("detail.taskRunStatusCounts", f"frames {first} to {last} cannot be a job's")
    ids = {"farm_id": detail.farm_id, "queue_id": detail.queue_id, "job_id": detail.job_id}
    places = {name: quote(value, safe="") for name, value in ids.items()}
    return tuple(
        Frame(
            key=str(number),
            number=number,
            outputs=(Output(url=filled(outputs.url, {**places, "frame": number})),),
        )
        for number in range(first, last + 1)
    )
