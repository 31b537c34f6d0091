"""Submit, caption, compose, poll: through the stack a user would start, with the real model."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from gridscribe.client import Client
from gridscribe.devstack import DevStack
from shared.job_spec import JobSpec
from shared.schemas import Box, Job, LabelSource, Manifest
from tests.fixtures.process_tree import is_alive, those_that_see
from tests.fixtures.waiting import wait_until
from worker.pipeline.pictures import open_picture
from worker.pipeline.render import SheetEntry, render_sheet

SAMPLES = Path(__file__).parents[2] / "gridscribe" / "samples"
PHOTOS = sorted(SAMPLES.glob("*.jpg"))


@pytest.fixture(scope="module")
def client(stack: DevStack) -> Iterator[Client]:
    with Client(stack.base_url) as client:
        yield client


def run(
    client: Client, spec: JobSpec, images: list[Path], folder: Path, csv: Path | None = None
) -> tuple[Job, Manifest, list[Image.Image]]:
    """Submit, wait, download; the job, its manifest and its pages."""
    job = client.jobs.create(images, spec, csv=csv)
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded", job.error
    pages = client.jobs.download(job.id, folder / f"sheet.{spec.format}")
    return job, client.jobs.manifest(job.id), [Image.open(page) for page in pages]


def crop(page: Image.Image, box: Box) -> Image.Image:
    return page.crop((box.x, box.y, box.x + box.width, box.y + box.height)).convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures of one size, in grey levels of 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def draw_pictures(folder: Path, count: int) -> list[Path]:
    """Different pictures that the model needs some time for: no two have the same bytes."""
    paths = []
    for n in range(count):
        picture = Image.effect_noise((320, 240), 40 + n % 50).convert("RGB")
        ImageDraw.Draw(picture).text((10, 10), str(n), fill="red")
        paths.append(folder / f"picture_{n}.jpg")
        picture.save(paths[-1])
    return paths


def test_nine_photos_come_back_as_a_sheet_with_their_own_cells_and_labels(
    client: Client, tmp_path: Path
) -> None:
    spec = JobSpec(use_clip=True, cell_size=(200, 200))
    job, manifest, [page] = run(client, spec, PHOTOS, tmp_path)

    assert [image.name for image in manifest.images] == [photo.name for photo in PHOTOS]
    for photo, image in zip(PHOTOS, manifest.images, strict=True):
        assert image.picture is not None
        size = (image.picture.width, image.picture.height)
        with photo.open("rb") as file:
            expected = open_picture(file).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        shown = crop(page, image.picture)
        assert difference(shown, expected) < 6, f"{photo.name} is not in its cell"

    labels = {image.name: image.label for image in manifest.images}
    assert "cat" in labels["chelsea.jpg"]
    assert "rocket" in labels["rocket.jpg"]
    assert "coffee" in labels["coffee.jpg"] or "espresso" in labels["coffee.jpg"]
    by_clip = [image for image in job.images if image.label_source is LabelSource.CLIP]
    assert all(image.confidence is not None and 0 < image.confidence <= 1 for image in by_clip)
    assert job.result is not None
    assert (job.result.width, job.result.height) == page.size

    # The very words are on the sheet: drawing the manifest's labels gives the same pixels, and
    # drawing one other word does not.
    entries = [
        SheetEntry(
            name=image.name,
            label=image.label,
            source=image.label_source,
            open=partial(FileIO, photo),
        )
        for photo, image in zip(PHOTOS, manifest.images, strict=True)
    ]

    def drawn(entries: list[SheetEntry]) -> Image.Image:
        folder = tmp_path / "drawn"
        folder.mkdir(exist_ok=True)
        sheet = render_sheet(spec, entries, folder, max_pixels=10**8)
        return Image.open(sheet.pages[0].path).convert("RGB")

    assert difference(drawn(entries), page.convert("RGB")) == 0
    other_word = [replace(entries[0], label="cosmonaut"), *entries[1:]]
    assert difference(drawn(other_word), page.convert("RGB")) > 0


def test_each_image_is_labeled_by_the_best_source_it_has(client: Client, tmp_path: Path) -> None:
    csv = tmp_path / "labels.csv"
    csv.write_text("filename,label\nchelsea.jpg,Chelsea herself\nnobody.jpg,absent\n")
    noise = tmp_path / "noise_07.png"
    Image.effect_noise((64, 64), 5).save(noise)
    images = [SAMPLES / "chelsea.jpg", SAMPLES / "coffee.jpg", noise]
    job, manifest, _ = run(client, JobSpec(use_clip=True), images, tmp_path, csv)

    chelsea, coffee, unknown = manifest.images
    assert (chelsea.label, chelsea.label_source) == ("Chelsea herself", LabelSource.CSV)
    assert coffee.label_source is LabelSource.CLIP
    assert (unknown.label, unknown.label_source) == ("noise_07", LabelSource.FILENAME)
    assert coffee.reasons, "why the CSV did not label it"
    assert len(unknown.reasons) == 2, "why neither CSV nor CLIP labeled it"
    warned = {(warning.code, warning.image) for warning in job.warnings}
    assert {("no_csv_row", 1), ("no_csv_row", 2), ("clip_abstained", 2)} <= warned
    assert any("nobody.jpg" in warning.detail for warning in job.warnings)


def test_pictures_are_compared_by_the_model_whatever_labels_them(
    client: Client, tmp_path: Path
) -> None:
    copy = tmp_path / "cat_again.png"
    with Image.open(SAMPLES / "chelsea.jpg") as cat:
        cat.resize((cat.width * 4 // 5, cat.height * 4 // 5)).save(copy)
    csv = tmp_path / "labels.csv"
    csv.write_text("filename,label\nchelsea.jpg,Chelsea herself\n")
    images = [SAMPLES / "chelsea.jpg", SAMPLES / "rocket.jpg", copy]
    fields = {"sort": "similarity", "cell_size": (64, 64), "cols": 3}
    _, manifest, _ = run(client, JobSpec.model_validate(fields), images, tmp_path, csv)
    assert [image.col for image in manifest.images] == [0, 2, 1]
    assert [image.label for image in manifest.images] == ["Chelsea herself", "rocket", "cat_again"]

    stacking = JobSpec.model_validate({**fields, "use_clip": True, "stack_duplicates": True})
    _, manifest, _ = run(client, stacking, images, tmp_path, csv)
    assert [image.stacked_on for image in manifest.images] == [None, None, 0]


def test_a_csv_places_finished_images_in_an_xy_plot(client: Client, tmp_path: Path) -> None:
    images = draw_pictures(tmp_path, 6)
    rows = [f"{path.name},{n % 3},{'ab'[n // 3]}" for n, path in enumerate(images)]
    csv = tmp_path / "plot.csv"
    csv.write_text("\n".join(["filename,cfg,sampler", *rows]))
    spec = JobSpec(axes="auto", cell_size=(64, 64))
    _, manifest, _ = run(client, spec, images, tmp_path, csv)
    assert [(i.row, i.col) for i in manifest.images] == [(r, c) for r in (0, 1) for c in (0, 1, 2)]


def test_a_job_is_captioned_with_its_own_candidates(client: Client, tmp_path: Path) -> None:
    spec = JobSpec(use_clip=True, candidates=("dog", "espresso", "rocket"))
    images = [SAMPLES / name for name in ("coffee.jpg", "rocket.jpg", "retina.jpg")]

    job, manifest, _ = run(client, spec, images, tmp_path)

    assert [image.label for image in job.images[:2]] == ["espresso", "rocket"]
    assert job.images[2].label_source is LabelSource.FILENAME
    assert job.spec.candidates == spec.candidates
    assert {term.term for term in manifest.images[0].facets["subject"]} == set(
        spec.candidates or ()
    )


def test_images_past_the_last_cell_go_to_a_second_page(client: Client, tmp_path: Path) -> None:
    images = draw_pictures(tmp_path, 12)
    spec = JobSpec(rows=3, cols=3, cell_size=(64, 64))
    job, manifest, pages = run(client, spec, images, tmp_path)
    assert len(pages) == 2
    assert job.result is not None
    assert job.result.pages == 2
    assert [image.page for image in manifest.images] == [1] * 9 + [2] * 3
    assert [image.label for image in manifest.images] == [path.stem for path in images]


@pytest.mark.parametrize("name", ["png", "jpg", "webp", "tiff"])
def test_a_sheet_is_written_in_the_format_asked_for(
    client: Client, tmp_path: Path, name: str
) -> None:
    spec = JobSpec.model_validate({"format": name, "cell_size": [32, 32]})
    job, _, [page] = run(client, spec, [SAMPLES / "clock.jpg"], tmp_path)
    assert page.format == {"jpg": "JPEG"}.get(name, name.upper())
    assert job.result is not None
    assert job.result.media_type == spec.format.media_type


def test_pictures_of_every_format_stand_on_one_sheet(client: Client, tmp_path: Path) -> None:
    colors = {"png": "red", "jpg": "lime", "bmp": "blue", "tiff": "yellow", "webp": "aqua"}
    colors["gif"] = "fuchsia"
    images = [tmp_path / f"{color}.{suffix}" for suffix, color in colors.items()]
    for path in images:
        Image.new("RGB", (32, 32), path.stem).save(path)
    _, manifest, [page] = run(client, JobSpec(cell_size=(32, 32)), images, tmp_path)
    for image, color in zip(manifest.images, colors.values(), strict=True):
        assert image.picture is not None, image.name
        shown = crop(page, image.picture)
        assert difference(shown, Image.new("RGB", shown.size, color)) < 6, image.name


def test_a_truncated_picture_gets_a_placeholder_and_the_job_succeeds(
    client: Client, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    data = (SAMPLES / "rocket.jpg").read_bytes()
    broken.write_bytes(data[: len(data) // 3])
    images = [SAMPLES / "chelsea.jpg", broken, SAMPLES / "coffee.jpg"]
    job, manifest, _ = run(client, JobSpec(use_clip=True), images, tmp_path)
    assert [image.picture is None for image in manifest.images] == [False, True, False]
    [warning] = [w for w in job.warnings if w.code == "unreadable_image"]
    assert warning.image == 1
    assert "broken.jpg" in warning.detail


def test_a_job_without_one_readable_picture_fails_and_says_so(
    client: Client, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((SAMPLES / "rocket.jpg").read_bytes()[:3000])
    job = client.jobs.wait(client.jobs.create([broken], JobSpec()).id, timeout=300)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "no_readable_image"


def test_a_running_job_can_be_canceled(client: Client, tmp_path: Path) -> None:
    job = client.jobs.create(draw_pictures(tmp_path, 200), JobSpec(use_clip=True))
    client.jobs.cancel(job.id)
    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "canceled"
    assert job.result is None


@pytest.mark.parametrize("dies", ["the worker", "a process that sees for it"])
def test_a_job_outlives_its_captioning_worker(
    client: Client, stack: DevStack, tmp_path: Path, dies: str
) -> None:
    images = draw_pictures(tmp_path, 300)
    job = client.jobs.create(images, JobSpec(use_clip=True, cell_size=(32, 32), margin=2))
    victim = stack.pids["caption"]
    seen = wait_until(lambda: it if (it := client.jobs.get(job.id)).progress.done else None)
    assert seen.progress.stage == "captioning", "killed in mid-job"
    sees = those_that_see(victim)
    assert sees
    if dies == "the worker":
        os.kill(victim, signal.SIGKILL)
    else:
        for pid in sees:
            os.kill(pid, signal.SIGKILL)

    job = client.jobs.wait(job.id, timeout=300)
    assert job.status == "succeeded"
    assert stack.pids["caption"] != victim
    wait_until(lambda: not any(map(is_alive, sees)))
    assert job.attempts >= 2
    assert len(job.images) == 300
    assert not any("stopped answering" in warning.detail for warning in job.warnings)


def test_the_result_is_served_as_a_file_that_can_be_resumed(client: Client, tmp_path: Path) -> None:
    job, _, _ = run(client, JobSpec(cell_size=(32, 32)), [SAMPLES / "clock.jpg"], tmp_path)
    assert job.result is not None
    whole = httpx.get(job.result.url)
    part = httpx.get(job.result.url, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert whole.headers["etag"].strip('"') == job.result.sha256
    assert Image.open(BytesIO(whole.content)).format == "PNG"
