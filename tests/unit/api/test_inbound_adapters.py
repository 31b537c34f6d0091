"""What each sender's recorded event is understood as."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from api.inbound.adapters import ADAPTERS
from api.inbound.message import Message, last_number
from shared.errors import GridscribeError
from shared.inbound_collections import InboundEvent
from shared.inbound_sources import Adapter, SourceFields

RECORDED = Path(__file__).parents[2] / "data" / "inbound"
BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "64f1c2/12/1",
    "ce-source": "//farm.example/queue/lighting",
    "ce-type": "render.frame.finished",
    "ce-time": "2026-03-02T10:15:30.250Z",
}
STRUCTURED = {"content-type": "application/cloudevents+json"}


def recorded(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return event


def understood(
    adapter: Adapter, event: Any, headers: dict[str, str] | None = None, **source: Any
) -> InboundEvent:
    fields = SourceFields(name="farm", adapter=adapter, **source)
    (found,) = ADAPTERS[adapter](Message(headers or {}, json.dumps(event).encode()), fields)
    return found


def urls(event: InboundEvent) -> list[str | None]:
    return [output.url for frame in event.frames for output in frame.outputs]


@pytest.mark.parametrize(
    ("name", "headers"), [("cloudevents_structured", STRUCTURED), ("cloudevents_binary", BINARY)]
)
def test_both_modes_of_cloudevents_tell_the_same(name: str, headers: dict[str, str]) -> None:
    event = understood(Adapter.CLOUDEVENTS, recorded(name), headers)
    assert event.keys == ("//farm.example/queue/lighting\n64f1c2/12/1",)
    assert (event.job_id, event.name, event.expected) == ("64f1c2", "shot_070", 240)
    (frame,) = event.frames
    assert (frame.number, frame.at_ms) == (12, 1772446530250)
    (output,) = frame.outputs
    assert output.url == "https://farm.example/renders/shot_070/0012.png"
    assert output.label == "0012 beauty"
    assert output.metadata == {"pass": "beauty", "samples": 256}


def test_cloudevents_data_may_be_packed_and_its_headers_percent_encoded() -> None:
    structured = recorded("cloudevents_structured")
    packed = json.dumps(structured.pop("data")).encode()
    structured["data_base64"] = base64.b64encode(packed).decode()
    assert understood(Adapter.CLOUDEVENTS, structured, STRUCTURED).job_id == "64f1c2"
    headers = {**BINARY, "ce-id": "shot%20070"}
    binary = understood(Adapter.CLOUDEVENTS, recorded("cloudevents_binary"), headers)
    assert binary.keys[0].endswith("\nshot 070")


def test_cloudevents_tell_of_the_end_and_of_the_failure_of_a_job() -> None:
    def told(kind: str, **data: Any) -> InboundEvent:
        event = {**recorded("cloudevents_structured"), "type": kind, "data": {"job_id": 7, **data}}
        return understood(Adapter.CLOUDEVENTS, event, STRUCTURED)

    finished = told("render.job.finished", frames=240)
    assert (finished.job_id, finished.ends, finished.expected) == ("7", "finished", 240)
    failed = told("render.job.failed", error="no licence")
    assert (failed.ends, failed.detail, failed.frames) == ("failed", "no licence", ())
    other = told("render.node.went.home")
    assert (other.ends, other.frames) == ("", ())


@pytest.mark.parametrize(
    ("headers", "change", "location"),
    [
        ({"content-type": "application/json"}, {}, "Content-Type"),
        ({"content-type": "application/cloudevents-batch+json"}, {}, "Content-Type"),
        (STRUCTURED, {"specversion": "0.3"}, "specversion"),
        (STRUCTURED, {"id": ""}, "id"),
        (STRUCTURED, {"data": {"frame": 1}}, "data.job_id"),
        (STRUCTURED, {"data": {"job_id": "7", "outputs": [{"url": 7}]}}, "data.outputs[0].url"),
        (STRUCTURED, {"data_base64": "not base64!"}, "data_base64"),
    ],
)
def test_a_cloudevent_that_cannot_be_understood_is_refused_by_its_place(
    headers: dict[str, str], change: dict[str, Any], location: str
) -> None:
    event = {**recorded("cloudevents_structured"), **change}
    with pytest.raises(GridscribeError) as refused:
        understood(Adapter.CLOUDEVENTS, event, headers)
    assert refused.value.errors[0].location == location


def test_a_bucket_tells_of_a_picture_in_its_folder() -> None:
    notification = recorded("s3_minio")
    event = understood(
        Adapter.S3, notification, outputs={"url": "http://10.20.0.2:9000/{bucket}/{key}"}
    )
    assert event.job_id == "renders/shot 070"
    assert event.frames[0].number == 12
    assert urls(event) == ["http://10.20.0.2:9000/renders/shot%20070/beauty.0012.png"]
    notification["Records"][0]["awsRegion"] = "eu-west-1"
    amazon = understood(Adapter.S3, notification)
    assert urls(amazon) == ["https://renders.s3.eu-west-1.amazonaws.com/shot%20070/beauty.0012.png"]
    notification["Records"][0]["s3"]["object"]["sequencer"] = "another"
    assert understood(Adapter.S3, notification).keys != event.keys
    for field, value in (("eventName", "s3:ObjectRemoved:Delete"), ("s3", None)):
        other = {**notification["Records"][0], field: value}
        assert understood(Adapter.S3, {"Records": [other]}).frames == ()


def test_deadline_cloud_tells_that_a_job_is_over() -> None:
    source: dict[str, Any] = {"outputs": {"url": "/mnt/{queue_id}/{job_id}/{frame:04}.exr.png"}}
    event = understood(Adapter.DEADLINE_CLOUD, recorded("deadline_cloud"), **source)
    folder = f"/mnt/queue-{'12345678900000000000000000000000'}/job-{'1234567890' + '0' * 22}"
    assert urls(event) == [f"{folder}/000{number}.exr.png" for number in (1, 2, 3)]
    assert (event.ends, event.expected) == ("finished", 3)
    source["outputs"]["frames"] = "10-11"
    ranged = understood(Adapter.DEADLINE_CLOUD, recorded("deadline_cloud"), **source)
    assert [frame.number for frame in ranged.frames] == [10, 11]
    for status, ends in (("FAILED", "failed"), ("RUNNING", "")):
        change = recorded("deadline_cloud")
        change["detail"]["taskRunStatus"] = status
        assert understood(Adapter.DEADLINE_CLOUD, change, **source).ends == ends
    other = {**recorded("deadline_cloud"), "detail-type": "Step Run Status Change"}
    assert understood(Adapter.DEADLINE_CLOUD, other, **source).ends == ""


def test_replicate_tells_of_a_prediction() -> None:
    event = understood(Adapter.REPLICATE, recorded("replicate"))
    assert (event.job_id, event.ends, event.expected) == (
        "ufawqhfynnddngldkgtslldrkq",
        "finished",
        2,
    )
    assert urls(event)[1] == "https://replicate.delivery/xezq/one/out-1.webp"
    about = event.frames[0].outputs[0].metadata
    assert about == {"prompt": "a barn owl at dusk", "seed": 7, "num_outputs": 2}
    one = {**recorded("replicate"), "output": "https://replicate.delivery/a.png"}
    assert urls(understood(Adapter.REPLICATE, one)) == ["https://replicate.delivery/a.png"]
    failed = {**recorded("replicate"), "status": "failed", "error": "CUDA out of memory"}
    assert understood(Adapter.REPLICATE, failed).detail == "CUDA out of memory"
    processing = understood(Adapter.REPLICATE, {**recorded("replicate"), "status": "processing"})
    assert (processing.ends, processing.frames) == ("", ())
    assert processing.keys != event.keys


def test_comfyui_api_tells_of_a_workflow() -> None:
    event = understood(Adapter.COMFYUI_API, recorded("comfyui_api"))
    inside, stored = (frame.outputs[0] for frame in event.frames)
    assert (inside.url, inside.name) == (None, "owl_00001_.png")
    assert str(inside.data).startswith("iVBOR")
    assert (stored.url, stored.data) == ("https://storage.example/comfy/owl_00002_.png", None)
    failed = {**recorded("comfyui_api"), "type": "prompt.failed", "error": "no such node"}
    assert understood(Adapter.COMFYUI_API, failed).detail == "no such node"


def test_fal_tells_of_a_request() -> None:
    event = understood(Adapter.FAL, recorded("fal"), sender="user-7")
    (frame,) = event.frames
    assert frame.outputs[0].name == "owl.png"
    assert frame.outputs[0].metadata == {
        "seed": 196619188014358660,
        "prompt": "a barn owl at dusk",
    }
    single = {**recorded("fal"), "payload": {"image": {"url": "https://v3.fal.media/one.png"}}}
    assert urls(understood(Adapter.FAL, single, sender="x")) == ["https://v3.fal.media/one.png"]
    failed = {**recorded("fal"), "status": "ERROR", "error": "Invalid status code: 422"}
    assert understood(Adapter.FAL, failed, sender="x").detail == "Invalid status code: 422"


def test_runpod_tells_of_a_job() -> None:
    event = understood(Adapter.RUNPOD, recorded("runpod"))
    inside, stored = (frame.outputs[0] for frame in event.frames)
    assert str(inside.data).startswith("iVBOR")
    assert stored.url == "https://bucket.s3.us-east-1.amazonaws.com/owl_00002_.png"
    for status, ends in (("FAILED", "failed"), ("TIMED_OUT", "failed"), ("IN_PROGRESS", "")):
        assert understood(Adapter.RUNPOD, {**recorded("runpod"), "status": status}).ends == ends
    plain = {**recorded("runpod"), "output": ["https://example.com/a.png"]}
    assert urls(understood(Adapter.RUNPOD, plain)) == ["https://example.com/a.png"]


@pytest.mark.parametrize(
    ("name", "number"),
    [("shot7.0012.png", 12), ("a/b9/frame.png", None), ("12.png", 12), ("v2_0007_x.png", 7)],
)
def test_the_last_number_of_a_name_is_its_frame(name: str, number: int | None) -> None:
    assert last_number(name) == number
