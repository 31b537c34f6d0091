"""Labels out of the files themselves: over HTTP, through captioning and composing workers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from shared.layout import plan_sheet
from shared.schemas import LabelSource
from tests.unit.pipeline.metadata.carriers import jpeg, png, user_comment, webp
from tests.unit.pipeline.metadata.documents import INFOTEXT, SWARM, flux_graph

SAMPLES = Path(__file__).parents[2] / "gridscribe" / "samples"


@pytest.fixture(scope="module")
def client(stack: DevStack) -> Iterator[Client]:
    with Client(stack.base_url) as client:
        yield client


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Made by A1111, ComfyUI and SwarmUI, and a photo."""
    files = {
        "a1111.jpg": jpeg(exif=user_comment(INFOTEXT)),
        "comfyui.png": png(prompt=json.dumps(flux_graph())),
        "swarmui.webp": webp(exif=user_comment(json.dumps(SWARM))),
        "chelsea.jpg": (SAMPLES / "chelsea.jpg").read_bytes(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in files]


def test_each_image_tells_its_own_label_and_clip_is_asked_for_the_rest(
    client: Client, images: list[Path]
) -> None:
    job = client.jobs.create(images, JobSpec(labels=("seed",), use_clip=True))
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded", job.error
    *made, photo = client.jobs.manifest(job.id).images
    assert [image.label for image in made] == ["1234567890", "219670278747233", "42"]
    assert {image.label_source for image in made} == {LabelSource.EMBEDDED}
    assert [image.model for image in made] == [None] * 3, "no model looked at them"
    assert photo.label_source is LabelSource.CLIP
    assert "cat" in photo.label
    assert photo.model is not None
    assert [warning.image for warning in job.warnings] == [3]
    assert [image.metadata.get("tool") for image in made] == ["A1111", "ComfyUI", "SwarmUI"]
    assert made[0].metadata["size"] == "512x768"
    assert photo.metadata == {}


def test_a_csv_wins_over_the_file_column_by_column(
    client: Client, images: list[Path], tmp_path: Path
) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text("filename;rating;sampler\na1111;5;mine\n")
    spec = JobSpec(labels=("rating", "sampler", "cfg"))
    job = client.jobs.wait(client.jobs.create(images[:2], spec, csv=csv).id, timeout=300)
    assert job.status == "succeeded", job.error
    first, second = client.jobs.manifest(job.id).images
    assert (first.label, first.label_source) == ("rating: 5\nsampler: mine\ncfg: 7", "csv")
    assert (second.label, second.label_source) == ("sampler: euler\ncfg: 3.5", "embedded")
    assert (first.metadata["sampler"], first.metadata["rating"]) == ("mine", "5")
    assert [(warning.code, warning.image) for warning in job.warnings] == [("no_csv_row", 1)]


def test_smart_labels_put_what_varies_into_cells_and_the_rest_above_them(
    client: Client, tmp_path: Path
) -> None:
    names = [f"{seed}.png" for seed in (1, 2, 3)]
    for seed, name in enumerate(names, 1):
        infotext = f"a red fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: {seed}"
        (tmp_path / name).write_bytes(png(parameters=infotext))
    spec = JobSpec(labels=("auto",), title="Foxes", use_clip=True, cols=3)
    job = client.jobs.create([tmp_path / name for name in names], spec)
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded", job.error
    manifest = client.jobs.manifest(job.id)
    assert manifest.header == "cfg 7 · steps 20 · Euler a · A1111\na red fox"
    assert [image.label for image in manifest.images] == ["seed 1", "seed 2", "seed 3"]
    assert {image.label_source for image in manifest.images} == {LabelSource.EMBEDDED}
    assert not job.warnings
    [sheet] = client.jobs.download(job.id, tmp_path / "sheet.png")
    layout = plan_sheet(spec, 3, max_pixels=10**8)
    assert layout.header_box is not None
    with Image.open(sheet) as image:
        header = layout.header_box
        corners = (header.x, header.y, header.x + header.width, header.y + header.height)
        assert image.convert("RGB").crop(corners).getcolors(1) is None, "something is drawn"


def test_a_plot_and_an_order_are_made_of_what_the_files_say(client: Client, tmp_path: Path) -> None:
    known = {"a.png": ("Euler a", 10), "b.png": ("DDIM", 10), "c.png": ("Euler a", 9.5)}
    for name, (sampler, cfg) in known.items():
        infotext = f"an owl\nSteps: 20, Sampler: {sampler}, CFG scale: {cfg}, Seed: 4"
        (tmp_path / name).write_bytes(png(parameters=infotext))
    files = [tmp_path / name for name in known]
    plot = JobSpec.model_validate({"axes": {"rows_by": "sampler", "cols_by": "cfg"}})
    for spec in (plot, JobSpec(axes="auto", stack_duplicates=True)):
        job = client.jobs.wait(client.jobs.create(files, spec).id, timeout=300)
        assert job.status == "succeeded", job.error
        manifest = client.jobs.manifest(job.id)
        assert manifest.axes is not None
        values = {manifest.axes.rows.values, manifest.axes.cols.values}
        assert values == {("DDIM", "Euler a"), ("9.5", "10")}
        assert len({(image.row, image.col) for image in manifest.images}) == 3
    job = client.jobs.create(files, JobSpec(sort="column:cfg", rows=1))
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded", job.error
    assert [image.col for image in client.jobs.manifest(job.id).images] == [1, 2, 0]
