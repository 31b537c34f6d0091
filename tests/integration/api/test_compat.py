"""The old service's endpoints, with a real dispatcher and a real compose worker behind them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from redis import Redis

from api.compat.grid_service import opened_grids
from gridscribe.supervisor import Command, Supervisor
from shared.api_keys import ApiKeys
from shared.settings import Settings
from tests.integration.api.served import png, serving

CREATE = "/api/create-labeled-grid"


@pytest.fixture(autouse=True)
def _nothing_is_stored() -> None:
    """The back end stays up from test to test, and so must what it keeps in Redis."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def compat_settings(api_settings: Settings, root: Path) -> Settings:
    return api_settings.model_copy(update={"compat_root": root})


@pytest.fixture(scope="module")
def old(compat_settings: Settings) -> Iterator[httpx.Client]:
    """A client of the old endpoints, and a back end that makes sheets."""
    environment = {
        **os.environ,
        "GRIDSCRIBE_REDIS_URL": compat_settings.redis_url,
        "GRIDSCRIBE_DATA_DIR": str(compat_settings.data_dir),
        "GRIDSCRIBE_BEAT_SECONDS": "0.5",
    }

    def log(name: str, line: str) -> None:
        sys.stderr.write(f"{name:<10} | {line}\n")

    def command(name: str, *arguments: str) -> Command:
        return Command(name, (sys.executable, *arguments), environment, folder=Path.cwd())

    worker = ("-m", "celery", "-q", "-A", "worker.app", "worker", "-Q", "compose", "-P", "solo")
    back_end = Supervisor(
        [[command("dispatcher", "-m", "worker.dispatcher"), command("compose", *worker)]],
        log,
    )
    back_end.start()
    with serving(compat_settings) as client:
        client.timeout = 60
        yield client
    back_end.stop()


@pytest.fixture
def folder(root: Path) -> Path:
    """A folder of its own for each test, with three pictures and what is none."""
    folder = root / f"pictures-{len(list(root.iterdir()))}"
    folder.mkdir()
    for name in ("b_10.png", "b_2.png", "a.png"):
        (folder / name).write_bytes(png())
    (folder / "notes.txt").write_text("no picture")
    return folder


def body(folder: Path, **more: object) -> dict[str, object]:
    given = {"input_dir": folder.name, "output_path": f"{folder.name}/out/sheet.png"}
    return given | {"cell_size": 40, "margin": 0, "font_size": 8} | more


def test_a_folder_becomes_a_sheet_under_the_root(old: httpx.Client, folder: Path) -> None:
    answer = old.post(CREATE, json=body(folder, rows=1, cols=3, session="s7")).json()
    assert answer["success"] is True, answer
    assert answer["output_path"] == f"{folder.name}/out/sheet.png"
    with Image.open(folder / "out" / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == 120
    assert "unknown field 'session' ignored" in answer["warnings"]
    job = old.get(f"/v1/jobs/{answer['job_id']}").json()
    assert [image["name"] for image in job["images"]] == ["a.png", "b_2.png", "b_10.png"]


def test_labels_come_from_the_csv_and_the_format_from_its_field(
    old: httpx.Client, folder: Path
) -> None:
    (folder / "labels.csv").write_text("filename,title\na.png,An apple\n")
    more = {
        "csv_path": str(folder / "labels.csv"),
        "label_columns": ["title"],
        "export_format": "jpg",
        "background_color": "navy",
        "output_path": f"{folder.name}/sheet",
    }
    answer = old.post(CREATE, json=body(folder, **more)).json()
    assert answer["success"] is True, answer
    job = old.get(f"/v1/jobs/{answer['job_id']}").json()
    labels = {image["name"]: image["label"] for image in job["images"]}
    assert "An apple" in labels["a.png"]
    with Image.open(folder / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"


def test_a_second_sheet_does_not_show_the_first_one(old: httpx.Client, folder: Path) -> None:
    more = {"output_path": f"{folder.name}/sheet.png", "rows": 1, "cols": 2}
    for _ in range(2):
        answer = old.post(CREATE, json=body(folder, **more)).json()
        assert answer["output_paths"] == [f"{folder.name}/sheet.png", f"{folder.name}/sheet-2.png"]
    job = old.get(f"/v1/jobs/{answer['job_id']}").json()
    assert len(job["images"]) == 3


def test_a_batch_makes_what_it_can(old: httpx.Client, folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "one" / "a.png").write_bytes(png())
    (folder / "empty").mkdir()
    dirs = [f"{folder.name}/one", f"{folder.name}/empty", "../outside"]
    answer = old.post(
        CREATE, json=body(folder, batch_dirs=dirs, output_path=f"{folder.name}/sheets")
    ).json()
    assert (answer["success"], answer["message"]) == (False, "1 of 3 sheets written")
    assert [result["success"] for result in answer["results"]] == [True, False, False]
    assert (folder / "sheets" / "one.png").is_file()
    assert answer["results"][1]["code"] == "no_images"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_dir", ".."),
        ("input_dir", "/etc"),
        ("input_dir", "nowhere"),
        ("input_dir", None),
        ("csv_path", "/etc/passwd"),
        ("output_path", "../sheet.png"),
        ("output_path", "/var/sheet.png"),
        ("output_path", "sheet.sh"),
        ("output_path", ""),
        ("rows", 0),
        ("background_color", "nocolor"),
        ("export_format", "exe"),
        ("batch_dirs", ["a"] * 101),
        ("input_dir", 7),
    ],
)
def test_what_cannot_be_done_is_told_in_the_old_way_too(
    old: httpx.Client, folder: Path, field: str, value: object, redis: Redis
) -> None:
    before = redis.zcard("{gridscribe}:jobs:default")
    answer = old.post(CREATE, json=body(folder) | {field: value})
    assert 400 <= answer.status_code < 500, answer.text
    told = answer.json()
    assert told["success"] is False
    assert told["error"] == told["detail"]
    assert redis.zcard("{gridscribe}:jobs:default") == before


def test_a_link_among_the_pictures_is_not_followed(
    old: httpx.Client, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(png(color="blue"))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "labels.csv").symlink_to("/etc/hostname")
    answer = old.post(CREATE, json=body(folder)).json()
    job = old.get(f"/v1/jobs/{answer['job_id']}").json()
    assert "link.png" not in {image["name"] for image in job["images"]}
    refused = old.post(CREATE, json=body(folder, csv_path=f"{folder.name}/labels.csv"))
    assert refused.status_code == 400


def test_a_preview_gives_the_geometry_of_a_folder(old: httpx.Client, folder: Path) -> None:
    answer = old.post("/api/preview-grid", json=body(folder, rows=2, cols=2)).json()
    assert (answer["success"], answer["image_count"]) == (True, 3)
    assert (answer["rows"], answer["cols"], len(answer["cells"])) == (2, 2, 3)
    counted = old.post("/api/preview-grid", json={"count": 4, "rows": 2, "cols": 2}).json()
    assert len(counted["cells"]) == 4


def test_templates_are_saved_and_loaded_in_the_old_words(old: httpx.Client) -> None:
    layout = {"rows": 2, "cols": 5, "background_color": "#000080", "export_format": "jpg"}
    saved = old.post("/api/save-grid-template", json={"name": "poster", **layout})
    assert saved.json()["success"] is True, saved.text
    loaded = old.post("/api/load-grid-template", json={"name": "poster"}).json()
    assert loaded["template"] == layout
    assert {"poster", "wide"} <= set(old.get("/api/grid-templates").json()["templates"])
    new = old.get("/v1/templates/poster").json()["spec"]
    assert new == {"rows": 2, "cols": 5, "background": "#000080", "format": "jpg"}
    missing = old.post("/api/load-grid-template", json={"name": "nowhere"})
    assert (missing.status_code, missing.json()["success"]) == (404, False)


def test_a_job_that_takes_too_long_is_canceled(compat_settings: Settings, folder: Path) -> None:
    # No worker looks at this store's queue: it has a database of its own.
    update = {"compat_wait_seconds": 0.2, "redis_url": f"{compat_settings.redis_url}?db=1"}
    with serving(compat_settings.model_copy(update=update)) as client:
        answer = client.post(CREATE, json=body(folder))
        assert (answer.status_code, answer.json()["code"]) == (504, "wait_timed_out")
        job_id = answer.json()["error"].split()[1]
        assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "canceled"


def test_without_a_root_there_are_no_old_endpoints(api_settings: Settings) -> None:
    with serving(api_settings) as client:
        assert client.post(CREATE, json={}).status_code == 404
        assert client.get("/api/grid-templates").status_code == 404


def test_only_the_operators_tenant_may_use_them(compat_settings: Settings, redis: Redis) -> None:
    secret, _ = ApiKeys(redis).create("studio")
    with serving(compat_settings.model_copy(update={"auth": "required"})) as locked:
        paths = locked.get("/openapi.json").json()["paths"]
        routes = [(m, path) for path in paths if path.startswith("/api/") for m in paths[path]]
        assert len(routes) == 5
        for method, path in routes:
            assert locked.request(method, path, json={}).status_code == 401
            headers = {"Authorization": f"Bearer {secret}"}
            assert locked.request(method, path, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("where", ["data", "data/storage", "."])
def test_a_root_that_would_show_the_services_own_files_stops_the_service(
    compat_settings: Settings, tmp_path: Path, where: str
) -> None:
    (tmp_path / "data" / "storage").mkdir(parents=True)
    update = {"data_dir": tmp_path / "data", "compat_root": tmp_path / where}
    with (
        pytest.raises(ValueError, match="must lie apart"),
        opened_grids(None, None, compat_settings.model_copy(update=update)),  # type: ignore[arg-type]
    ):
        pass
