"""Frames that farms tell of one by one, and when a grid is made of them."""

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from shared.tenant_limits import TenantLimit, TenantLimits
from tests.integration.api.inbound.collecting_farm import PATIENCE, MakeFarm, widths
from tests.integration.api.served import problem_of
from tests.integration.api.test_submission import stored_images


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


def test_a_template_s_webhook_is_the_job_s_own(farm: MakeFarm, pictures: str) -> None:
    lighting = farm(spec={"webhook": {"url": f"{pictures}/{{job_id}}?of={{name}}"}})
    lighting.frame(1, job_id="shots/7", name="a & b")
    lighting.finish(job_id="shots/7", frames=1)
    job, _ = lighting.grid()
    assert job["spec"]["webhook"]["url"] == f"{pictures}/shots%2F7?of=a%20%26%20b"


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
