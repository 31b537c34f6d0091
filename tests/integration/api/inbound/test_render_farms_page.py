"""Every script of docs/render-farms.md, run as it stands against the real endpoint."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.settings import Settings
from shared.webhook_signature import signed_headers
from tests.e2e.documented_commands import ROOT, blocks
from tests.fixtures.picture_server import picture_of, pictures
from tests.integration.api.inbound.farm_standins import MC, MODULES
from tests.integration.api.inbound.senders import RECORDED, local_server
from tests.integration.api.served import serving

PAGE = "docs/render-farms.md"
SECTIONS = (
    "source",
    "curl",
    "events",
    "deadline",
    "opencue",
    "flamenco",
    "afanasy",
    "minio",
    "comfyui",
)
PATIENCE = 60.0


def scripts() -> dict[str, str]:
    found = list(blocks(PAGE))
    assert {block.run_by for block in found} == {Path(__file__).relative_to(ROOT).as_posix()}
    return dict(zip(SECTIONS, (block.code for block in found), strict=True))


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands for /mnt/renders."""
    folder = tmp_path_factory.mktemp("renders")
    for name in ("shot_070/beauty.{:04}", "show/show-shot_070/render.{:04}", "flamenco/{:06}"):
        for number in range(1, 241 if "beauty" in name else 4):
            path = folder / f"{name.format(number)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture_of(number))
    return folder


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    with pictures() as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture(scope="module")
def client(api_settings: Settings, mount: Path, files: str) -> Iterator[httpx.Client]:
    settings = api_settings.model_copy(
        update={
            "allowed_networks": (ip_network("127.0.0.0/8"),),
            "allowed_ports": (int(files.rpartition(":")[2]),),
            "inbound_roots": (mount,),
            "max_images": 300,
            "store_timeout_seconds": 20.0,
        }
    )
    with serving(settings) as client:
        yield client


class Farm:
    """A folder at the farm, in which the page's scripts are run with a source of their own."""

    def __init__(self, folder: Path, client: httpx.Client, replaced: dict[str, str]) -> None:
        self.folder = folder
        self.client = client
        self.replaced = replaced
        self._scripts = scripts()
        for name, code in {**MODULES, "gridscribe_events.py": self._scripts["events"]}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        mc = folder / "mc"
        mc.write_text(MC)
        mc.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{folder}:{ROOT}",
            "GRIDSCRIBE_SERVER": str(client.base_url),
        }

    def script(self, section: str) -> str:
        code = self._scripts[section]
        for shown, here in self.replaced.items():
            code = code.replace(shown, here)
        return code

    def shell(self, *sections: str) -> str:
        prelude = 'set -euo pipefail\ngridscribe() { python3 -m gridscribe "$@"; }\n'
        return self._run("bash", "-c", prelude + "\n".join(map(self.script, sections)))

    def make_source(self) -> None:
        self.shell("source")
        made = self.made("source.json")
        self.environment["GRIDSCRIBE_SOURCE"] = made["url"]
        self.environment["GRIDSCRIBE_SECRET"] = made["secret"]

    def python(self, section: str, name: str, run: str | None = None) -> str:
        (self.folder / f"{name}.py").write_text(self.script(section))
        return self._run("python3", f"{run or name}.py")

    def made(self, name: str) -> dict[str, Any]:
        source: dict[str, Any] = json.loads((self.folder / name).read_text())
        return source

    def outcomes(self, count: int, name: str = "source.json") -> dict[str, dict[str, Any]]:
        """The source's log by job, once it has `count` entries."""
        address = f"/v1/sources/{self.made(name)['id']}"
        deadline = time.monotonic() + PATIENCE
        while len(log := self.client.get(address).json()["log"]) < count:
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        assert len(log) == count
        return {entry["job_id"]: entry for entry in log}

    def grid(self, entry: dict[str, Any]) -> dict[str, Any]:
        assert entry["outcome"] == "grid_made", entry
        job: dict[str, Any] = self.client.get(f"/v1/jobs/{entry['grid_job_id']}").json()
        assert job["warnings"] == []
        return job

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture
def farm(tmp_path: Path, client: httpx.Client, mount: Path, files: str) -> Farm:
    replaced = {"/mnt/renders": str(mount), "https://farm.example": files}
    return Farm(tmp_path, client, replaced)


def test_curl_tells_of_a_job(farm: Farm) -> None:
    printed = farm.shell("source", "curl")
    assert printed.count('"accepted":1') == 4
    job = farm.grid(farm.outcomes(1)["shot_070"])
    assert job["spec"]["title"] == "Shot 70 (shot_070)"
    assert job["progress"]["total"] == 3


def test_a_deadline_plugin_tells_of_jobs(farm: Farm) -> None:
    farm.make_source()
    farm.python("deadline", "plugin", run="drive_deadline")
    told = farm.outcomes(2)
    assert farm.grid(told["64f1c2"])["progress"]["total"] == 3
    assert told["64f1c3"]["outcome"] == "render_failed"


def test_an_opencue_bridge_tells_of_frames(farm: Farm) -> None:
    farm.make_source()
    farm.python("opencue", "bridge")
    told = farm.outcomes(2)
    job = farm.grid(told["fa7bbb9a"])
    assert job["spec"]["title"] == "show-shot_070 (fa7bbb9a)"
    assert job["progress"]["total"] == 2
    assert told["fa7bbb9b"]["detail"] == "killed"


class FlamencoManager(BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        assert self.path == "/api/v3/jobs/f1"
        settings = {"frames": "1-3", "render_output_path": f"{self.folder}/flamenco/######"}
        body = json.dumps({"id": "f1", "name": "shot 70", "settings": settings}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_flamenco_bridge_tells_of_jobs(farm: Farm, mount: Path) -> None:
    farm.make_source()
    FlamencoManager.folder = mount
    with local_server(FlamencoManager) as manager:
        farm.environment["FLAMENCO_MANAGER"] = manager
        farm.python("flamenco", "bridge")
    told = farm.outcomes(2)
    assert farm.grid(told["f1"])["progress"]["total"] == 3
    assert told["f2"]["outcome"] == "render_failed"


def test_an_afanasy_block_tells_of_its_frames(farm: Farm) -> None:
    farm.make_source()
    farm.python("afanasy", "submit")
    assert farm.grid(farm.outcomes(1)["shot_070"])["progress"]["total"] == 240


def test_minio_sends_its_notifications(farm: Farm, files: str) -> None:
    farm.replaced["https://minio.example"] = files
    farm.replaced["--quiet-seconds 120"] = "--quiet-seconds 1"
    farm.shell("minio")
    configured, restarted, added = (farm.folder / "mc.log").read_text().split("\n\n")[:3]
    assert restarted == "admin\nservice\nrestart\nfarm"
    assert "arn:minio:sqs::gridscribe:webhook" in added.splitlines()
    given = dict(line.split("=", 1) for line in configured.splitlines() if "=" in line)
    # As MinIO does: a probe first, then the notification.
    assert httpx.head(given["endpoint"]).status_code == 200
    answer = httpx.post(
        given["endpoint"],
        content=(RECORDED / "s3_minio.json").read_bytes(),
        headers={
            "Authorization": f"Bearer {given['auth_token']}",
            "Content-Type": "application/json",
        },
    )
    assert answer.json()["accepted"] == 1
    told = farm.outcomes(1, "bucket.json")
    assert farm.grid(told["renders/shot 070"])["progress"]["total"] == 1


class ComfyUiApi(BaseHTTPRequestHandler):
    """Takes a prompt, and sends what `webhook_v2` is to be sent once it is done."""

    farm: Farm

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/prompt"
        assert asked["prompt"] == {"3": {"class_type": "KSampler"}}
        images = [base64.b64encode(picture_of(number)).decode() for number in (1, 2)]
        event = {"type": "prompt.complete", "id": "c1", "images": images, "filenames": []}
        body = json.dumps(event).encode()
        secret = self.farm.made("comfy.json")["secret"]
        headers = signed_headers([secret], "msg_c1", body, datetime.now(UTC))
        sent = httpx.post(asked["webhook_v2"], content=body, headers=headers)
        self.send_response(sent.status_code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_comfyui_api_sends_what_it_made(farm: Farm) -> None:
    ComfyUiApi.farm = farm
    (farm.folder / "workflow.json").write_text('{"3": {"class_type": "KSampler"}}')
    farm.replaced["--quiet-seconds 60"] = "--quiet-seconds 1"
    with local_server(ComfyUiApi) as address:
        farm.replaced["http://127.0.0.1:3000"] = address
        farm.shell("comfyui")
    (entry,) = farm.outcomes(1, "comfy.json").values()
    assert farm.grid(entry)["progress"]["total"] == 2
