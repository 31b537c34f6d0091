"""Sheets of `gridscribe export` read back: where labels come from, and what stands where."""

import json
from pathlib import Path

import pytest
from PIL import Image

from shared.schemas import Manifest, ManifestImage
from tests.fixtures.command_line import Run
from tests.unit.pipeline.metadata.carriers import jpeg, png, png_with_chunk, user_comment, webp
from tests.unit.pipeline.metadata.documents import node
from tests.unit.pipeline.sheets import brightest, cut, darkest

SAMPLES = Path(__file__).parents[3] / "gridscribe" / "samples"


@pytest.fixture
def exported(run: Run, capsys: pytest.CaptureFixture[str]) -> "Exported":
    return Exported(run, capsys)


class Exported:
    """The manifest of the sheet `sheet.png` that is made of the folder `pictures`."""

    def __init__(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        self._run, self._capsys = run, capsys
        Path("pictures").mkdir()

    def __call__(self, *options: str) -> Manifest:
        assert self._run("export", "pictures", "sheet.png", "--json", *options) == 0
        return Manifest.model_validate(json.loads(self._capsys.readouterr().out)["manifest"])


def made_by_a1111(name: str, **parameters: object) -> None:
    """A picture whose infotext has these parameters, of the format that its name says."""
    text = "a fox\nSteps: 20, " + ", ".join(f"{key}: {value}" for key, value in parameters.items())
    suffix = Path(name).suffix
    if suffix == ".png":
        data = png(parameters=text)
    else:
        data = {".jpg": jpeg, ".webp": webp}[suffix](exif=user_comment(text))
    Path("pictures", name).write_bytes(data)


def places(manifest: Manifest) -> dict[str, tuple[int, int]]:
    return {Path(image.name).stem: (image.row, image.col) for image in manifest.images}


def drawn_label(image: ManifestImage) -> bool:
    """Whether anything is written in the band below the picture."""
    assert image.picture is not None
    with Image.open("sheet.png") as sheet:
        cell = cut(sheet.convert("RGB"), image.cell)
    below = image.picture.y + image.picture.height - image.cell.y
    band = cell.crop((0, below, *cell.size))
    return brightest(band) - darkest(band) > 100


def test_clip_labels_what_the_asked_column_does_not_and_all_of_it_is_drawn(
    exported: Exported,
) -> None:
    for name in ("chelsea", "coffee"):
        data = (SAMPLES / f"{name}.jpg").read_bytes()
        Path("pictures", f"{name}.jpg").write_bytes(data)
    made_by_a1111("made.png", Seed=7)
    Path("labels.csv").write_text("filename,prompt\ncoffee,an espresso of mine\nchelsea.jpg,\n")
    manifest = exported("--csv", "labels.csv", "--labels", "prompt", "--use-clip")
    found = {image.name: (image.label, image.label_source.value) for image in manifest.images}
    assert found["coffee.jpg"] == ("an espresso of mine", "csv")
    assert found["made.png"] == ("a fox", "embedded")
    assert "cat" in found["chelsea.jpg"][0]
    assert found["chelsea.jpg"][1] == "clip"
    assert all(drawn_label(image) for image in manifest.images)


def test_rows_of_a_csv_find_their_images_by_name_then_base_name_then_stem(
    exported: Exported,
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        made_by_a1111(name)
    csv = """Filename;note
        a;by stem
        old/a.png;by base name
        a.png;by name
        b;by stem
        old/b.png;by base name
        c.exr;by stem
        a.png;again
        d.png;no image
    """
    Path("labels.csv").write_text(csv)
    manifest = exported("--csv", "labels.csv", "--labels", "note")
    assert [image.label for image in manifest.images] == ["by name", "by base name", "by stem"]
    told = {warning.code: warning.detail for warning in manifest.warnings}
    assert "lines 4, 8 of the CSV name it; line 4 is used" in told["csv_duplicate_row"]
    assert "'d.png'" in told["csv_row_without_image"]


def test_a_plot_is_made_of_what_the_files_say(exported: Exported) -> None:
    made_by_a1111("one.png", Sampler="Euler a", **{"CFG scale": 10})
    made_by_a1111("two.jpg", Sampler="DDIM", **{"CFG scale": 10})
    made_by_a1111("three.webp", Sampler="Euler a", **{"CFG scale": 9.5})
    expected = {"three": (1, 0), "one": (1, 1), "two": (0, 1)}
    named = exported("--rows-by", "sampler", "--cols-by", "CFG")
    assert places(named) == expected
    assert named.axes is not None
    assert (named.axes.rows.values, named.axes.cols.values) == (("DDIM", "Euler a"), ("9.5", "10"))
    made_by_a1111("four.png", Sampler="DDIM", **{"CFG scale": 9.5})
    found = exported("--auto-axes")
    assert found.axes is not None
    assert {found.axes.rows.column, found.axes.cols.column} == {"sampler", "cfg"}
    assert len(set(places(found).values())) == 4


def test_what_all_files_say_stands_once_above_them(exported: Exported) -> None:
    for seed in (1, 2):
        made_by_a1111(f"{seed}.png", Seed=seed, Sampler="DDIM")
    manifest = exported("--labels", "auto", "--rows", "1", "--margin", "10")
    assert manifest.header == "steps 20 · DDIM · A1111\na fox"
    assert [image.label for image in manifest.images] == ["seed 1", "seed 2"]
    with Image.open("sheet.png") as sheet:
        above = sheet.convert("RGB").crop((0, 0, sheet.width, manifest.images[0].cell.y))
    assert brightest(above) - darkest(above) > 100


def test_a_column_of_the_files_sorts_them(exported: Exported) -> None:
    for name, seed in (("a.png", 100), ("b.jpg", 9), ("c.webp", 20)):
        made_by_a1111(name, Seed=seed)
    assert list(places(exported("--sort", "column:seed", "--rows", "1"))) == ["a", "b", "c"]
    assert places(exported("--sort", "column:seed", "--rows", "1")) == {
        "b": (0, 0),
        "c": (0, 1),
        "a": (0, 2),
    }


HOSTILE = {
    "fifty megabytes": png_with_chunk(b"tEXt", b"parameters\0" + bytes(50 * 2**20)),
    "a circle": png(
        prompt=json.dumps(
            {"1": node("KSampler", seed=["1", 0], model=["1", 0], positive=["1", 0], cfg=7)}
        )
    ),
    "deep": png(prompt='{"a":' * 100_000, parameters="[" * 100_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_in_a_file_costs_neither_its_picture_nor_its_name(
    exported: Exported, kind: str
) -> None:
    Path("pictures", "hostile.png").write_bytes(HOSTILE[kind])
    made_by_a1111("plain.png", Seed=5)
    manifest = exported("--labels", "seed", "--rows", "1")
    hostile, plain = manifest.images
    assert (hostile.label, plain.label) == ("hostile", "5")
    assert drawn_label(hostile)
    assert hostile.picture is not None
    with Image.open("sheet.png") as sheet:
        assert cut(sheet.convert("RGB"), hostile.picture).getpixel((9, 9)) == (0, 128, 128)
