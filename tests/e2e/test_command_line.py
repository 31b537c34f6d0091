"""The commands of the README, run as a user would."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from tests.fixtures.waiting import PATIENCE

SAMPLES = Path(__file__).parents[2] / "gridscribe" / "samples"
REPOSITORY = Path(__file__).parents[2]

DEMO_LABELS = {
    "astronaut.jpg": "filename",
    "brick.jpg": "filename",
    "camera.jpg": "clip",
    "chelsea.jpg": "clip",
    "clock.jpg": "filename",
    "coffee.jpg": "clip",
    "hubble_deep_field.jpg": "filename",
    "retina.jpg": "filename",
    "rocket.jpg": "clip",
}
"""Sources in the demo. `starter` knows objects and animals; a change here is a change of the model,
the vocabulary or the bar of confidence, and must be meant."""


def gridscribe(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRIDSCRIBE_") and name != "REDIS_URL"
    }
    return subprocess.run(
        [sys.executable, "-m", "gridscribe", *arguments],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_the_demo_labels_nine_photos_and_leaves_nothing_running(tmp_path: Path) -> None:
    result = gridscribe("demo", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert Image.open(tmp_path / "demo-output" / "grid.png").format == "PNG"
    rows = {
        name: next(line for line in result.stdout.splitlines() if name in line)
        for name in DEMO_LABELS
    }
    sources = {
        name: next(word for word in ("clip", "filename", "csv", "request") if word in line.split())
        for name, line in rows.items()
    }
    assert sources == DEMO_LABELS
    assert "cat" in rows["chelsea.jpg"]
    # A second server on the same folder is refused as long as one holds it.
    again = gridscribe("demo", cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_submit_writes_the_sheet_and_tells_every_label(stack: DevStack, tmp_path: Path) -> None:
    output = tmp_path / "sheet.webp"
    result = gridscribe(
        *("submit", str(SAMPLES), "-o", str(output), "--server", stack.base_url, "--use-clip"),
        *("--cols", "3", "--cell-size", "128", "128", "--json"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    job = json.loads(result.stdout)
    assert {image["name"]: image["label_source"] for image in job["images"]} == DEMO_LABELS
    assert Image.open(output).format == "WEBP"


def test_a_job_can_be_left_and_found_again(stack: DevStack, tmp_path: Path) -> None:
    server = ("--server", stack.base_url)
    photo = str(SAMPLES / "clock.jpg")
    result = gridscribe("submit", photo, "--no-wait", "--json", *server, cwd=tmp_path)
    job_id = json.loads(result.stdout)["id"]
    with Client(stack.base_url) as client:
        client.jobs.wait(job_id, timeout=300)
    status = gridscribe("status", job_id, "--json", *server, cwd=tmp_path)
    assert json.loads(status.stdout)["status"] == "succeeded"
    fetched = gridscribe("download", job_id, "-o", "again.png", *server, cwd=tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    assert Image.open(tmp_path / "again.png").format == "PNG"
    canceled = gridscribe("cancel", job_id, *server, cwd=tmp_path)
    assert canceled.returncode == 4, "it has ended already"
    assert "succeeded" in canceled.stderr


def test_no_service_is_told_apart_from_a_refusal(stack: DevStack, tmp_path: Path) -> None:
    photo = str(SAMPLES / "clock.jpg")
    nowhere = gridscribe("submit", photo, "--server", "http://127.0.0.1:9", cwd=tmp_path)
    assert nowhere.returncode == 3
    refused = gridscribe(
        *("submit", photo, "--clip-model", "nobody/knows", "--server", stack.base_url),
        cwd=tmp_path,
    )
    assert refused.returncode == 4
    assert "nobody/knows" in refused.stderr
    assert "starter" in refused.stderr, "what is offered instead"


def test_a_model_that_cannot_be_loaded_leaves_a_warning_on_every_job(tmp_path: Path) -> None:
    log: list[str] = []
    broken = "local-dir:/there/is/no/such/folder"
    with DevStack(
        port=0,
        data_dir=tmp_path / "data",
        log=lambda name, line: log.append(f"{name}: {line}"),
        environment={"GRIDSCRIBE_CLIP_MODELS": f"{broken},starter"},
    ) as stack:
        stack.wait_ready(300)
        [worker] = httpx.get(f"{stack.base_url}/readyz").json()["caption_workers"]
        assert worker["model"] == "starter"
        assert broken in worker["notice"]
        with Client(stack.base_url) as client:
            job = client.jobs.create([SAMPLES / "chelsea.jpg"], JobSpec(use_clip=True))
            job = client.jobs.wait(job.id, timeout=300)
        assert job.status == "succeeded"
        assert job.images[0].label == "cat"
        [warning] = job.warnings
        assert warning.code == "clip_fallback"
        assert broken in warning.detail
        told = [line for line in log if "cannot be loaded" in line]
        assert len(told) == 1, "said once, not for every image"


@pytest.mark.parametrize("line_before", ["dispatcher ready", "ready: http"])
def test_ctrl_c_stops_the_development_stack(tmp_path: Path, line_before: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gridscribe", "dev", "--port", "0", "--data-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line_before in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode in (0, 130)
    lock = tmp_path / "valkey" / "lock"
    owner = int(lock.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(owner, 0)
