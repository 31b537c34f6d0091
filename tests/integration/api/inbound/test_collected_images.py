"""A grid's pictures, wherever the events say that they lie."""

import base64
import time
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.settings import Settings
from tests.integration.api.inbound.collecting_farm import PATIENCE, MakeFarm, Pictures, widths
from tests.integration.api.inbound.senders import make_source
from tests.integration.api.served import png
from tests.integration.api.test_submission import stored_images


def test_what_an_event_says_of_a_picture_labels_it(farm: MakeFarm, pictures: str) -> None:
    passes = [
        {"url": f"{pictures}/{n}/x.png", "label": name, "metadata": {"pass": name}, "name": "n.png"}
        for n, name in ((8, "beauty"), (9, "depth"))
    ]
    lighting = farm()
    lighting.frame(5, outputs=passes)
    lighting.finish(frames=1)
    _, images = lighting.grid()
    assert [(it.name, it.label) for it in images] == [("n.png", "beauty"), ("n.png", "depth")]
    assert images[1].metadata == {"frame": 5, "pass": "depth"}


def test_a_frame_that_cannot_be_had_costs_a_warning(farm: MakeFarm, pictures: str) -> None:
    lighting = farm()
    lighting.frame(1)
    lighting.frame(2, outputs=[{"url": f"{pictures}/missing/2.png"}])
    lighting.frame(3, outputs=[{"url": "http://169.254.169.254/latest/meta-data"}])
    lighting.finish(frames=3)
    job, images = lighting.grid()
    assert widths(images) == [1]
    warnings = [warning["detail"] for warning in job["warnings"]]
    assert [warning["code"] for warning in job["warnings"]] == ["image_left_out"] * 2
    assert warnings[0].startswith("frame 2 left out")
    assert "404" in warnings[0]
    assert warnings[1].startswith("frame 3 left out")
    assert "port 80 is not allowed" in warnings[1]


def test_a_farm_whose_files_cannot_be_reached_is_asked_again(
    farm: MakeFarm, pictures: str, redis: Redis
) -> None:
    lighting = farm()
    lighting.frame(1, outputs=[{"url": f"{pictures}/late/{lighting.id}.png"}])
    lighting.finish(frames=1)
    deadline = time.monotonic() + PATIENCE
    while not any(lighting.id in path for path in Pictures.asked):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while lighting.told(0) == [] and not is_put_off(redis):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (collection,) = redis.zrange("{gridscribe}:collections", 0, -1)
    assert lighting.told(0) == []
    redis.zadd("{gridscribe}:collections", {str(collection): 0})  # the pause is over
    assert widths(lighting.grid()[1]) == [7]


def is_put_off(redis: Redis) -> bool:
    """By the pause before a second try, which is shorter than any lease."""
    (collection,) = redis.zrange("{gridscribe}:collections", 0, -1)
    due_ms = redis.zscore("{gridscribe}:collections", str(collection))
    seconds, _ = redis.time()
    return due_ms is not None and float(due_ms) / 1000 - seconds < 7


def test_pictures_come_from_the_hosts_of_the_source_alone(farm: MakeFarm) -> None:
    for allowed, reached in (
        (["farm.example", "*.farm.example"], False),
        (["127.0.0.1"], True),
        (["*.0.0.1"], True),
    ):
        lighting = farm(allowed_hosts=allowed)
        lighting.frame(1)
        lighting.finish(frames=1)
        if reached:
            assert widths(lighting.grid()[1]) == [1]
        else:
            assert "'127.0.0.1' is none of the source's allowed_hosts" in lighting.failure()


def test_paths_of_a_shared_mount_are_mapped_and_read(farm: MakeFarm, mount: Path) -> None:
    mapped = farm(
        path_map={
            "//server/renders/": f"{mount}/default/",
            "Z:\\renders\\": f"{mount}/default/",
            "s3://renders/": f"{mount}/default/",
        }
    )
    for number, path in enumerate(
        (
            "//server/renders/shot/beauty.0001.png",
            "Z:\\renders\\shot\\beauty.0002.png",
            "s3://renders/latest/beauty.0003.png",  # a link inside
            f"file://{mount}/default/shot/beauty.0004.png",
        ),
        start=1,
    ):
        mapped.frame(number, outputs=[{"url": path}])
    mapped.finish(frames=4)
    _, images = mapped.grid()
    assert widths(images) == [1, 2, 3, 4]
    assert images[1].name == "beauty.0002.png"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "not below a folder"),
        ("{mount}/other/shot/beauty.0001.png", "not below a folder"),
        ("{mount}/default/../other/shot/beauty.0001.png", "leads out"),
        ("{mount}/default/elsewhere/beauty.0001.png", "leads out"),
        ("{mount}/default/shot/none.png", "not there"),
        ("{mount}/default/folder.png", "is no file"),
        ("file://server{mount}/default/shot/beauty.0001.png", "names a host"),
        ("Z:\\renders\\1.png", "no absolute path"),
        ("{mount}/default/shot/\0.png", "no absolute path"),
        ("gopher://127.0.0.1/1.png", "http://"),
    ],
)
def test_nothing_outside_of_the_operator_s_folders_is_read(
    farm: MakeFarm, mount: Path, path: str, why: str
) -> None:
    lighting = farm()
    lighting.frame(1)
    lighting.frame(2, outputs=[{"url": path.replace("{mount}", str(mount))}])
    lighting.finish(frames=2)
    job, images = lighting.grid()
    assert widths(images) == [1]
    (warning,) = job["warnings"]
    assert why in warning["detail"]


def test_pictures_inside_an_event_need_no_fetching(client: httpx.Client, redis: Redis) -> None:
    source = make_source(client, adapter="runpod")
    images = [
        {"filename": f"owl_{n}.png", "type": "base64", "data": base64.b64encode(png(n)).decode()}
        for n in (5, 6)
    ]
    images.append({"filename": "broken.png", "type": "base64", "data": "not base64!"})
    body = {"id": "r-1", "status": "COMPLETED", "output": {"images": images}}
    address = f"/v1/inbound/{source['id']}/{source['secret']}"
    assert client.post(address, json=body).status_code == 202
    deadline = time.monotonic() + PATIENCE
    while not (log := client.get(f"/v1/sources/{source['id']}").json()["log"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stored = stored_images(redis, log[0]["grid_job_id"])
    assert [(image.name, image.width) for image in stored] == [("owl_5.png", 5), ("owl_6.png", 6)]
    assert [image.label for image in stored] == [None, None]  # CLIP or the name says it


def test_a_bucket_s_folder_is_a_job_and_its_files_the_frames(farm: MakeFarm, pictures: str) -> None:
    bucket = farm(adapter="s3", quiet_seconds=1, outputs={"url": f"{pictures}/{{key}}"})
    for key in ("10/shot+1/f.0010.png", "9/shot+1/f.0009.png", "9/shot+1/notes.txt"):
        stored = {"bucket": {"name": "renders"}, "object": {"key": key, "sequencer": key}}
        bucket.post({"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": stored}]})
    entries = bucket.told(2)
    assert {entry["job_id"] for entry in entries} == {"renders/10/shot 1", "renders/9/shot 1"}


def test_deadline_cloud_s_pictures_lie_where_the_template_says(
    client: httpx.Client, redis: Redis, pictures: str
) -> None:
    source = make_source(
        client,
        adapter="deadline_cloud",
        outputs={"url": f"{pictures}/{{frame}}/{{job_id}}.{{frame:04}}.png"},
    )
    detail = {"farmId": "farm-1", "queueId": "queue-1", "jobId": "job-1"}
    detail |= {"taskRunStatus": "SUCCEEDED"}
    detail["taskRunStatusCounts"] = {"SUCCEEDED": 3, "FAILED": 0}  # type: ignore[assignment]
    event = {"id": "1", "source": "aws.deadline", "detail-type": "Job Run Status Change"}
    answer = client.post(
        f"/v1/inbound/{source['id']}",
        json={**event, "detail": detail},
        headers={"X-Api-Key": source["secret"]},
    )
    assert answer.json()["accepted"] == 1
    deadline = time.monotonic() + PATIENCE
    while not (log := client.get(f"/v1/sources/{source['id']}").json()["log"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stored = stored_images(redis, log[0]["grid_job_id"])
    assert [image.name for image in stored] == [f"job-1.000{n}.png" for n in (1, 2, 3)]


def test_more_frames_than_a_job_may_have_are_left_out_with_a_warning(
    farm: MakeFarm, api_settings: Settings
) -> None:
    most = api_settings.max_images
    lighting = farm()
    for number in range(1, most + 3):
        lighting.frame(number)
    lighting.finish(frames=most)
    job, images = lighting.grid()
    assert len(images) == most
    assert "2 image(s) left out" in job["warnings"][0]["detail"]
