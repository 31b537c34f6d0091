"""What is true of every answer, what is offered, and what happens when the store is away."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from shared.settings import Settings
from shared.text_metrics import line_height
from tests.integration.api.served import image_part, serving, submit


def test_every_answer_has_a_request_id(client: httpx.Client) -> None:
    assert client.get("/healthz").headers["X-Request-Id"]
    given = client.get("/healthz", headers={"X-Request-Id": "trace-7.a"})
    assert given.headers["X-Request-Id"] == "trace-7.a"
    hostile = client.get("/healthz", headers={"X-Request-Id": 'x"<script>' + "a" * 90})
    assert "script" not in hostile.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("PUT", "/v1/jobs", 405, "method_not_allowed")],
)
def test_addresses_and_methods_that_are_not_there_are_problems_too(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_a_wrong_method_is_told_all_that_its_address_has(client: httpx.Client) -> None:
    answer = client.patch("/v1/jobs/some-job")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "DELETE"}


def test_a_host_header_that_is_no_address_breaks_nothing(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", files=[image_part("a.png")], headers={"Host": "[::"})
    assert answer.status_code in (400, 401), answer.text


def test_models_are_listed_with_the_default(client: httpx.Client) -> None:
    assert client.get("/v1/models").json()["data"] == [
        {"name": "starter", "default": True},
        {"name": "ViT-B-32", "default": False},
    ]


def test_vocabularies_are_listed_with_the_operators_own(
    api_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "garden").mkdir()
    (tmp_path / "garden" / "subject.txt").write_text("rose | dog rose\n    tea rose\ntulip\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "subject.txt").write_text("rose\nrose\n")

    with serving(api_settings.model_copy(update={"vocabularies_dir": tmp_path})) as client:
        default, garden = client.get("/v1/vocabularies").json()["data"]

    assert (default["name"], default["default"], default["built_in"]) == ("default", True, True)
    assert [facet["name"] for facet in default["facets"]][:2] == ["subject", "medium"]
    assert default["facets"][0]["terms"] > 300
    assert garden == {
        "name": "garden",
        "default": False,
        "built_in": False,
        "facets": [{"name": "subject", "terms": 3}],
    }


def test_templates_are_listed(client: httpx.Client) -> None:
    templates = {it["name"]: it for it in client.get("/v1/templates").json()["data"]}
    assert templates["wide"]["built_in"] is True
    assert (templates["wide"]["spec"]["rows"], templates["wide"]["spec"]["cols"]) == (2, 5)


def test_a_preview_gives_the_geometry_without_a_job(
    client: httpx.Client, assert_nothing_is_left: Callable[[], None]
) -> None:
    spec = {"rows": 2, "cols": 2, "cell_size": [100, 50], "margin": 10, "label_position": "none"}
    answer = client.post("/v1/preview", json={"spec": spec, "count": 5})
    assert answer.status_code == 200, answer.text
    sheet = answer.json()
    assert (sheet["rows"], sheet["cols"], len(sheet["pages"])) == (2, 2, 2)
    assert [cell["page"] for cell in sheet["cells"]] == [1, 1, 1, 1, 2]
    assert sheet["cells"][1]["picture"] == {"x": 120, "y": 10, "width": 100, "height": 50}
    assert sheet["cells"][1]["label"] is None
    assert_nothing_is_left()


def test_a_preview_that_knows_the_lines_of_labels_makes_their_bands_so_high(
    client: httpx.Client,
) -> None:
    def heights(**known: int) -> tuple[int, int]:
        body = {"spec": {"labels": ["a", "b"], "rows": 1}, "count": 2, **known}
        sheet = client.post("/v1/preview", json=body).json()
        return sheet["cells"][0]["label"]["height"], sheet["pages"][0]["height"]

    band, page = heights()
    assert heights(label_lines=1) == (band - 2 * line_height(16), page - 2 * line_height(16))
    assert heights(label_lines=3) == heights(label_lines=99) == (band, page)


def test_a_preview_of_an_xy_plot_needs_no_values(client: httpx.Client) -> None:
    spec = {"rows": 9, "cols": 9, "axes": {"rows_by": "sampler", "cols_by": "cfg"}}
    body = {"spec": spec, "count": 7, "axis_counts": {"rows": 2, "cols": 3}}
    sheet = client.post("/v1/preview", json=body).json()
    assert (sheet["rows"], sheet["cols"], len(sheet["pages"])) == (2, 3, 2)
    kinds = [header["kind"] for header in sheet["headers"] if header["page"] == 1]
    assert sorted(kinds) == ["col"] * 3 + ["col_name"] + ["row"] * 2 + ["row_name"]


@pytest.mark.parametrize(
    ("body", "code", "location"),
    [
        ({"count": 0}, "invalid_request", "count"),
        ({"count": 13}, "too_many_images", "count"),
        ({"count": 1, "spec": {"margin": -1}}, "invalid_spec", "spec.margin"),
        ({"count": 1, "spec": {"template": "nope"}}, "unknown_template", "spec.template"),
    ],
)
def test_a_preview_is_refused_as_its_job_would_be(
    client: httpx.Client, body: object, code: str, location: str
) -> None:
    problem = client.post("/v1/preview", json=body).json()
    assert (problem["code"], problem["errors"][0]["location"]) == (code, location)


def test_the_description_names_every_route_and_its_problems(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    submit_job = document["paths"]["/v1/jobs"]["post"]
    assert set(submit_job["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert {"202", "400", "413", "422", "429", "503", "507"} <= set(submit_job["responses"])
    problem = submit_job["responses"]["413"]["content"]["application/problem+json"]["schema"]
    schemas = document["components"]["schemas"]
    assert problem["$ref"].removeprefix("#/components/schemas/") in schemas
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def assert_unavailable_within(client: httpx.Client, seconds: float) -> None:
    asking: list[Callable[[], httpx.Response]] = [
        lambda: client.get("/v1/jobs/0190b3c4-0000-7000-8000-000000000000"),
        lambda: submit(client, image_part("a.png")),
    ]
    for ask in asking:
        times = []
        for _ in range(3):
            began = time.monotonic()
            answer = ask()
            times.append(time.monotonic() - began)
            assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        assert min(times) < seconds, "the quickest: a busy machine may hold up the others"


def test_a_store_that_is_away_is_a_503_and_nothing_is_kept(
    api_settings: Settings, tmp_path: Path
) -> None:
    away = api_settings.model_copy(
        update={"redis_url": f"unix://{tmp_path}/none.sock", "data_dir": tmp_path}
    )
    with serving(away) as client:
        assert_unavailable_within(client, 2)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["store"], ready.json()["storage"]) == (
            503,
            False,
            True,
        )
        assert client.get("/healthz").status_code == 200
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_store_that_hangs_is_a_503_within_its_time_out(
    api_settings: Settings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        hanging = api_settings.model_copy(
            update={"redis_url": url, "data_dir": tmp_path, "store_timeout_seconds": 0.5}
        )
        with serving(hanging) as client:
            assert_unavailable_within(client, 0.9)
            assert client.get("/readyz").json()["store"] is False


def test_the_service_heals_when_the_store_goes_on(redis: Redis, api_settings: Settings) -> None:
    pid = int(redis.info("server")["process_id"])
    impatient = api_settings.model_copy(update={"store_timeout_seconds": 0.3})
    with serving(impatient) as client:
        assert client.get("/readyz").json()["store"] is True
        os.kill(pid, signal.SIGSTOP)
        try:
            assert client.get("/readyz").json()["store"] is False
        finally:
            os.kill(pid, signal.SIGCONT)
        assert submit(client, image_part("a.png")).status_code == 202


def test_storage_that_cannot_be_written_is_a_503(api_settings: Settings, tmp_path: Path) -> None:
    with serving(api_settings.model_copy(update={"data_dir": tmp_path})) as client:
        (tmp_path / "storage" / "jobs").write_text("no folder")
        answer = submit(client, image_part("a.png"))
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
