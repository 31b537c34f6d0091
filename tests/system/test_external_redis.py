"""The service keeps its jobs in a Redis that is already there."""

import json
import subprocess
from pathlib import Path

import pytest
import redis
from PIL import Image

pytestmark = pytest.mark.system

SAMPLES = Path(__file__).parents[2] / "gridscribe" / "samples"


def test_a_job_runs_on_the_redis_named_by_redis_url(
    gridscribe: Path, server_url: str, redis_url: str, tmp_path: Path
) -> None:
    pictures = sorted(SAMPLES.glob("*.jpg"))[:3]
    sheet = tmp_path / "sheet.png"

    command: list[str | Path] = [gridscribe, "submit", *pictures, "-o", sheet]
    command += ["--server", server_url, "--use-clip", "--json"]
    submitted = subprocess.run(command, stdout=subprocess.PIPE, timeout=400, check=True)

    with Image.open(sheet) as image:
        image.load()
        assert image.format == "PNG"
    job = json.loads(submitted.stdout)
    assert job["status"] == "succeeded"
    assert [image["name"] for image in job["images"]] == [picture.name for picture in pictures]
    with redis.Redis.from_url(redis_url) as client:
        assert any(job["id"].encode() in key for key in client.scan_iter())
