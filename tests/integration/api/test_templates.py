"""A tenant's own layout presets."""

from collections.abc import Callable

import httpx
import pytest
from redis import Redis

from shared.job_spec import Preprocessing, Template
from tests.integration.api.served import image_part, problem_of, spec_part, submit

POSTER = {"rows": 2, "cols": 6, "background": "navy", "label_position": "overlay"}


def test_a_saved_template_is_given_back_with_the_fields_that_it_decides(
    client: httpx.Client,
) -> None:
    saved = client.put("/v1/templates/poster", json=POSTER)
    expected = {"name": "poster", "built_in": False, "spec": POSTER | {"background": "#000080"}}
    assert (saved.status_code, saved.json()) == (201, expected)
    assert client.get("/v1/templates/poster").json() == expected
    assert client.get("/v1/templates").json()["data"][-1] == expected


def test_every_field_of_a_layout_can_be_kept(client: httpx.Client) -> None:
    steps: dict[str, object] = {"crop": [0, 0, 9, 9], "resize": [8, 6]}
    steps |= {name: 1.5 for name in Preprocessing.model_fields if name not in steps}
    whole = {
        **{"rows": 2, "cols": 3, "cell_size": [64, 48], "margin": 5, "font_size": 9},
        **{"background": "#000080", "format": "webp", "quality": 77, "resize_mode": "fill"},
        **{"label_position": "overlay", "overflow": "grow", "preprocessing": steps},
    }
    assert set(whole) == set(Template.model_fields)
    assert client.put("/v1/templates/whole", json=whole).json()["spec"] == whole
    assert client.get("/v1/templates/whole").json()["spec"] == whole
    job = submit(client, spec_part({"template": "whole"}), image_part("a.png")).json()
    assert {name: job["spec"][name] for name in whole} == whole


def test_a_job_with_a_template_has_its_layout_and_the_callers_own_fields(
    client: httpx.Client,
) -> None:
    client.put("/v1/templates/poster", json=POSTER)
    spec = {"template": "poster", "rows": 3}
    job = submit(client, spec_part(spec), image_part("a.png")).json()
    assert (job["spec"]["rows"], job["spec"]["cols"]) == (3, 6)
    assert job["spec"]["label_position"] == "overlay"
    assert job["spec"]["margin"] == 10
    preview = client.post("/v1/preview", json={"spec": spec, "count": 1}).json()
    assert preview["cols"] == 6


def test_put_replaces_and_post_does_not(client: httpx.Client) -> None:
    body = {"name": "poster", "spec": POSTER}
    made = client.post("/v1/templates", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/templates/poster")
    again = client.post("/v1/templates", json=body)
    assert (again.status_code, problem_of(again)["code"]) == (409, "template_exists")
    replaced = client.put("/v1/templates/poster", json={"rows": 1})
    assert (replaced.status_code, replaced.json()["spec"]) == (200, {"rows": 1})


def test_a_deleted_template_is_gone(client: httpx.Client) -> None:
    client.put("/v1/templates/poster", json=POSTER)
    assert client.delete("/v1/templates/poster").status_code == 204
    assert client.delete("/v1/templates/poster").status_code == 404
    assert problem_of(client.get("/v1/templates/poster"))["code"] == "template_not_found"
    refused = submit(client, spec_part({"template": "poster"}), image_part("a.png"))
    assert problem_of(refused)["code"] == "unknown_template"


def test_built_in_templates_cannot_be_changed(client: httpx.Client) -> None:
    assert client.get("/v1/templates/wide").json()["built_in"] is True
    for answer in (
        client.put("/v1/templates/wide", json=POSTER),
        client.post("/v1/templates", json={"name": "wide", "spec": POSTER}),
        client.delete("/v1/templates/wide"),
    ):
        assert (answer.status_code, problem_of(answer)["code"]) == (409, "template_read_only")


@pytest.mark.parametrize(
    ("spec", "location"),
    [
        ({"rows": 0}, "spec.rows"),
        ({"cell_size": [8, 8]}, "spec.cell_size[0]"),
        ({"background": "nocolor"}, "spec.background"),
        ({"use_clip": True}, "spec.use_clip"),
        ({"template": "wide"}, "spec.template"),
    ],
)
def test_a_template_is_checked_as_a_spec_is(
    client: httpx.Client, assert_nothing_is_left: Callable[[], None], spec: object, location: str
) -> None:
    put = client.put("/v1/templates/poster", json=spec)
    post = client.post("/v1/templates", json={"name": "poster", "spec": spec})
    for answer in (put, post):
        assert answer.status_code == 422, answer.text
        assert problem_of(answer)["errors"][0]["location"] == location
    assert_nothing_is_left()


@pytest.mark.parametrize("name", ["a:b", "-x", "x" * 65, "%20", "a%2Fb", "a%0A"])
def test_a_name_that_could_be_something_else_is_refused(
    client: httpx.Client, assert_nothing_is_left: Callable[[], None], name: str
) -> None:
    assert client.put(f"/v1/templates/{name}", json=POSTER).status_code in (400, 404)
    assert_nothing_is_left()


def test_no_more_than_two_hundred_are_kept(client: httpx.Client, redis: Redis) -> None:
    redis.hset("{gridscribe}:templates:default", mapping={f"t{n}": "{}" for n in range(200)})
    answer = client.put("/v1/templates/poster", json=POSTER)
    assert (answer.status_code, problem_of(answer)["code"]) == (429, "quota_exceeded")
    assert client.put("/v1/templates/t7", json=POSTER).status_code == 200
