"""Frames that farms tell of one by one, and the grids that are made of them."""

import base64
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from shared.schemas import SourceImage
from shared.settings import Settings
from shared.tenant_limits import TenantLimit, TenantLimits
from tests.integration.api.inbound_senders import local_server, make_source
from tests.integration.api.served import png, problem_of, serving
from tests.integration.api.test_submission import stored_images

PATIENCE = 60.0


class Pictures(BaseHTTPRequestHandler):
    """`/12/any/name.png` is a picture twelve pixels wide; `/missing/...` is none."""

    def do_GET(self) -> None:
        width = self.path.split("/")[1]
        found = width.isdecimal()
        body = png(int(width)) if found else b"gone"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pictures() -> Iterator[str]:
    with local_server(Pictures) as address:
        yield address


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A farm's shared folder, with something outside of it."""
    folder = tmp_path_factory.mktemp("mount")
    for tenant in ("default", "other"):
        (folder / tenant / "shot").mkdir(parents=True)
        for number in range(1, 5):
            (folder / tenant / "shot" / f"beauty.{number:04}.png").write_bytes(png(number))
    (folder / "default" / "latest").symlink_to(folder / "default" / "shot")
    (folder / "default" / "elsewhere").symlink_to(folder / "other" / "shot")
    (folder / "default" / "folder.png").mkdir()
    return folder


@pytest.fixture(scope="module")
def client(api_settings: Settings, pictures: str, mount: Path) -> Iterator[httpx.Client]:
    settings = api_settings.model_copy(
        update={
            "allowed_networks": (ip_network("127.0.0.0/8"),),
            "allowed_ports": (urlsplit(pictures).port,),
            "inbound_roots": (mount / "{tenant}",),
            "store_timeout_seconds": 20.0,
        }
    )
    with serving(settings) as client:
        yield client


class Farm:
    """One source and what its farm sends."""

    def __init__(self, client: httpx.Client, redis: Redis, pictures: str, **source: Any) -> None:
        self._client = client
        self._redis = redis
        self._pictures = pictures
        self._sent = 0
        given = {"adapter": "cloudevents", "auth": "bearer", "quiet_seconds": 60, **source}
        self.source = make_source(client, **given)

    @property
    def id(self) -> str:
        return str(self.source["id"])

    def post(self, body: Any, **headers: str) -> httpx.Response:
        headers["Authorization"] = f"Bearer {self.source['secret']}"
        answer = self._client.post(f"/v1/inbound/{self.id}", json=body, headers=headers)
        assert answer.status_code in (202, 429), answer.text
        return answer

    def send(self, kind: str, at: str | None = None, **data: Any) -> httpx.Response:
        self._sent += 1
        envelope: dict[str, Any] = {"specversion": "1.0", "id": str(self._sent), "source": "farm"}
        if at is not None:
            envelope["time"] = at
        envelope |= {"type": f"render.{kind}", "data": {"job_id": "7", **data}}
        return self.post(envelope, **{"Content-Type": "application/cloudevents+json"})

    def frame(self, number: int, at: str | None = None, **data: Any) -> httpx.Response:
        url = f"{self._pictures}/{number}/beauty.{number:04}.png"
        return self.send(
            "frame.finished", at, **{"frame": number, "outputs": [{"url": url}], **data}
        )

    def finish(self, **data: Any) -> httpx.Response:
        return self.send("job.finished", **data)

    def told(self, count: int = 1) -> list[dict[str, Any]]:
        """The source's log once it has `count` entries."""
        deadline = time.monotonic() + PATIENCE
        while len(log := self._client.get(f"/v1/sources/{self.id}").json()["log"]) < count:
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        assert len(log) == count
        return list(log)

    def grid(self) -> tuple[dict[str, Any], list[SourceImage]]:
        """The only job that was made, with its images."""
        (entry,) = self.told()
        assert entry["outcome"] == "grid_made", entry
        job = self._client.get(f"/v1/jobs/{entry['grid_job_id']}").json()
        return job, stored_images(self._redis, job["id"])

    def failure(self) -> str:
        (entry,) = self.told()
        assert entry["outcome"] == "grid_failed", entry
        return str(entry["detail"])


MakeFarm = Callable[..., Farm]


@pytest.fixture
def farm(client: httpx.Client, redis: Redis, pictures: str) -> MakeFarm:
    def make(**source: Any) -> Farm:
        return Farm(client, redis, pictures, **source)

    return make


def widths(images: list[SourceImage]) -> list[int]:
    return [image.width for image in images]


def test_frames_out_of_order_and_twice_each_make_one_grid_in_order(farm: MakeFarm) -> None:
    lighting = farm(spec={"title": "{name} ({job_id}) of {source}", "cols": 3})
    lighting.frame(3, name="shot {job_id}")
    lighting.finish(frames=4)
    for number in (1, 4, 1, 2):
        lighting.frame(number)
    job, images = lighting.grid()
    assert widths(images) == [1, 2, 3, 4]
    assert [image.label for image in images] == [f"frame {n}" for n in (1, 2, 3, 4)]
    assert [image.metadata for image in images] == [{"frame": n} for n in (1, 2, 3, 4)]
    assert images[0].name == "beauty.0001.png"
    assert job["spec"]["title"] == "shot {job_id} (7) of farm"  # what an event says is no template
    assert job["warnings"] == []


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


def test_a_frame_that_was_rendered_again_replaces_the_earlier_one(
    farm: MakeFarm, pictures: str
) -> None:
    lighting = farm()
    lighting.frame(2, "2026-03-02T10:00:02Z", outputs=[{"url": f"{pictures}/22/again.png"}])
    lighting.frame(2, "2026-03-02T10:00:01Z")  # the first try, overtaken
    lighting.frame(1)
    lighting.frame(1, outputs=[{"url": f"{pictures}/11/again.png"}])
    lighting.finish(frames=2)
    assert widths(lighting.grid()[1]) == [11, 22]


def test_layers_that_render_the_same_frames_do_not_replace_each_other(
    farm: MakeFarm, pictures: str
) -> None:
    lighting = farm()
    for layer, width in (("fog", 11), ("beauty", 21), ("fog", 12)):
        outputs = [{"url": f"{pictures}/{width}/x.png"}]
        lighting.frame(1, layer=layer, outputs=outputs)
    lighting.finish(frames=2)
    assert sorted(widths(lighting.grid()[1])) == [12, 21]


def test_frames_may_come_shortly_after_the_end_of_their_job(farm: MakeFarm) -> None:
    lighting = farm()
    lighting.frame(1)
    lighting.finish()
    lighting.frame(2)
    assert widths(lighting.grid()[1]) == [1, 2]


def test_a_job_whose_end_nobody_tells_is_over_after_a_quiet_time(farm: MakeFarm) -> None:
    quiet = farm(quiet_seconds=1)
    quiet.frame(2)
    quiet.frame(1)
    assert widths(quiet.grid()[1]) == [1, 2]


def test_jobs_are_told_apart(farm: MakeFarm) -> None:
    lighting = farm()
    for job_id in ("a", "b"):
        lighting.frame(1, job_id=job_id)
        lighting.finish(job_id=job_id, frames=1)
    made = {(entry["job_id"], entry["outcome"]) for entry in lighting.told(2)}
    assert made == {("a", "grid_made"), ("b", "grid_made")}


def test_all_that_comes_until_a_quiet_time_can_share_a_grid(farm: MakeFarm, redis: Redis) -> None:
    shared = farm(gather="quiet", quiet_seconds=2)
    for job_id in ("a", "b"):
        shared.frame(1, job_id=job_id)
        shared.finish(job_id=job_id, frames=1)
    shared.send("job.failed", job_id="c", error="no licence")
    shared.frame(2, job_id="c")
    outcomes = [entry["outcome"] for entry in shared.told(2)]
    assert outcomes == ["grid_made", "render_failed"]
    job_id = shared.told(2)[0]["grid_job_id"]
    assert sorted(widths(stored_images(redis, job_id))) == [1, 1, 2]


def test_a_failed_render_ends_its_collection_and_is_told(
    farm: MakeFarm, client: httpx.Client, redis: Redis
) -> None:
    before = numbers(client, "gridscribe_inbound_collections")
    lighting = farm(quiet_seconds=1)
    lighting.frame(1)
    lighting.send("job.failed", error="out of memory on node 7")
    assert lighting.frame(2).json()["ignored"] == 1  # a straggler
    (entry,) = lighting.told()
    assert (entry["outcome"], entry["detail"]) == ("render_failed", "out of memory on node 7")
    assert not redis.exists("{gridscribe}:collections")
    assert not redis.exists("{gridscribe}:collected:default")
    after = numbers(client, "gridscribe_inbound_collections")
    assert after["render_failed"] == before.get("render_failed", 0) + 1


def numbers(client: httpx.Client, name: str) -> dict[str, float]:
    """A metric by the last of its labels."""
    return {
        list(sample.labels.values())[-1]: sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        if family.name == name
        for sample in family.samples
        if sample.name.endswith("_total")
    }


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


def test_a_grid_that_cannot_be_made_is_told_to_the_source_s_owner(
    farm: MakeFarm, client: httpx.Client, redis: Redis
) -> None:
    before = numbers(client, "gridscribe_inbound_collections").get("grid_failed", 0)
    for spec, hosts, why in (
        ({}, ["farm.example"], "not allowed"),
        ({"template": "none-such"}, [], "none-such"),
        ({"rows": 1, "cols": 1, "overflow": "error"}, [], "do not fit"),
    ):
        lighting = farm(spec=spec, allowed_hosts=hosts)
        for number in (1, 2):
            lighting.frame(number)
        lighting.finish(frames=2)
        assert why in lighting.failure()
    empty = farm(quiet_seconds=1)
    empty.finish()
    assert "no picture" in empty.failure()
    assert numbers(client, "gridscribe_inbound_collections")["grid_failed"] == before + 4
    assert client.get("/v1/jobs").json()["data"] == []
    assert not redis.exists("{gridscribe}:collections")


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


def test_a_source_that_is_deleted_leaves_nothing_behind(
    farm: MakeFarm, client: httpx.Client, redis: Redis
) -> None:
    redis.flushall()
    lighting = farm()
    lighting.frame(1)
    lighting.send("job.failed", job_id="8")
    client.post(f"/v1/inbound/{lighting.id}", json={})  # refused, and noted
    assert client.delete(f"/v1/sources/{lighting.id}").status_code == 204
    left = {key for key in redis.scan_iter() if redis.ttl(key) < 0}
    assert left <= {"{gridscribe}:counters"}
    assert problem_of(client.get(f"/v1/sources/{lighting.id}"))["code"] == "source_not_found"


def test_a_tenant_s_limits_hold_for_its_sources(farm: MakeFarm, redis: Redis) -> None:
    TenantLimits(redis).set("default", {TenantLimit.REQUESTS_PER_MINUTE: 2})
    lighting = farm()
    answers = [lighting.frame(number) for number in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert problem_of(answers[2])["code"] == "rate_limited"
    TenantLimits(redis).set("default", {TenantLimit.REQUESTS_PER_MINUTE: 6000})
    TenantLimits(redis).set("default", {TenantLimit.IMAGES_PER_DAY: 1})
    redis.delete("{gridscribe}:bucket:default")
    lighting.frame(3)
    lighting.finish(frames=3)
    deadline = time.monotonic() + PATIENCE
    while not (waiting := redis.zrange("{gridscribe}:collections", 0, -1)):
        assert time.monotonic() < deadline
    collection = str(waiting[0])
    record = f"{{gridscribe}}:collection:{collection}"
    while redis.hmget(record, "owner", "attempts")[1] != "0" or not redis.hget(record, "owner"):
        assert time.monotonic() < deadline, "it was not put off"
        time.sleep(0.05)
    # Put off, not given up: with the limit gone the next look makes it.
    TenantLimits(redis).reset("default")
    redis.zadd("{gridscribe}:collections", {collection: 0})
    assert widths(lighting.grid()[1]) == [1, 2, 3]
