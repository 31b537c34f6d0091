"""A whole farm's job, from its frames' events to the sheet."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from shared.job_spec import JobSpec
from tests.fixtures.deployment import Deployment
from tests.fixtures.farm import RenderFarm, farm_service

FRAMES = 240


@pytest.fixture(scope="module")
def service_and_files(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Deployment, str]]:
    with farm_service(tmp_path_factory.mktemp("farm"), "dispatcher", "compose") as made:
        yield made


def test_240_frames_out_of_order_and_twice_each_are_one_sheet_of_240_cells(
    service_and_files: tuple[Deployment, str], tmp_path: Path
) -> None:
    service, files = service_and_files
    spec = JobSpec(title="job {job_id}", cols=20, cell_size=(32, 32), margin=4, font_size=6)
    farm = RenderFarm(service, files, spec)
    numbers = [*range(1, FRAMES + 1)] * 2
    random.Random(7).shuffle(numbers)
    with ThreadPoolExecutor(4) as nodes:
        sent = list(nodes.map(farm.frame, numbers[:400]))
        assert farm.finish(FRAMES).status_code == 202  # while frames are still on their way
        sent += nodes.map(farm.frame, numbers[400:])
    assert {answer.status_code for answer in sent} == {202}
    with service.client() as client:
        job = client.jobs.wait(farm.grid(), timeout=300)
        assert job.status == "succeeded", job.error
        assert job.spec.title == "job 7"
        assert [image.label for image in job.images] == [f"frame {n}" for n in range(1, FRAMES + 1)]
        (sheet,) = client.jobs.download(job.id, tmp_path / "sheet.png")
        manifest = client.jobs.manifest(job.id)
        assert [each.id for each in client.jobs.list()] == [job.id]
    counts = farm.source().counts
    assert (counts.accepted, counts.duplicate) == (FRAMES + 1, FRAMES)
    assert (manifest.rows, manifest.cols) == (FRAMES // 20, 20)
    with Image.open(sheet) as opened:
        pixels = opened.convert("RGB")
    for number, cell in enumerate(manifest.images, start=1):
        assert cell.picture is not None
        middle = (
            cell.picture.x + cell.picture.width // 2,
            cell.picture.y + cell.picture.height // 2,
        )
        assert pixels.getpixel(middle) == (number % 256, number // 256, 90)
