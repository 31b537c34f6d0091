"""Notifications of S3 buckets as MinIO sends them: a picture each, gathered by folder."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote, unquote_plus

from pydantic import Field, StringConstraints

from api.inbound.message import Message, Payload, last_number
from api.inbound.output_templates import filled
from shared.inbound_collections import Frame, InboundEvent, Output
from shared.inbound_sources import SourceFields

_AWS = "https://{bucket}.s3.{region}.amazonaws.com/{key}"
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".zip")

_Text = Annotated[str, StringConstraints(max_length=3200)]


class _Bucket(Payload):
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class _Object(Payload):
    key: Annotated[str, StringConstraints(min_length=1, max_length=3200)]
    """URL-encoded, a space as `+`."""
    sequencer: _Text = ""
    etag: Annotated[str, Field(alias="eTag")] = ""


class _Stored(Payload):
    bucket: _Bucket
    object: _Object


class _Record(Payload):
    name: Annotated[_Text, Field(alias="eventName")]
    time: Annotated[datetime | None, Field(alias="eventTime")] = None
    region: Annotated[_Text, Field(alias="awsRegion")] = ""
    s3: _Stored | None = None


class _Notification(Payload):
    records: Annotated[tuple[_Record, ...], Field(alias="Records", max_length=1000)] = ()


def read(message: Message, source: SourceFields) -> tuple[InboundEvent, ...]:
    notification = _Notification.of(message.body)
    return tuple(_event(record, source) for record in notification.records)


def _event(record: _Record, source: SourceFields) -> InboundEvent:
    if record.s3 is None:
        return InboundEvent((f"{record.name}\n{record.time}",))
    bucket, stored = record.s3.bucket.name, record.s3.object
    key = unquote_plus(stored.key)
    keys = (f"{bucket}\n{key}\n{stored.sequencer or stored.etag or record.time}\n{record.name}",)
    folder, _, name = key.rpartition("/")
    created = record.name.removeprefix("s3:").startswith("ObjectCreated:")
    if not created or not name.lower().endswith(_PICTURES):
        return InboundEvent(keys)
    template = _AWS if source.outputs is None else source.outputs.url
    places = {"bucket": bucket, "key": key, "region": record.region or "us-east-1"}
    url = filled(template, {place: quote(value) for place, value in places.items()})
    frame = Frame(
        key=key,
        number=last_number(name),
        at_ms=0 if record.time is None else max(0, round(record.time.timestamp() * 1000)),
        outputs=(Output(url=url, name=name[:200]),),
    )
    return InboundEvent(keys, f"{bucket}/{folder}"[:500], folder[:200] or bucket, (frame,))
