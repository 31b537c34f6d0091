import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageEnhance

import gridscribe
from shared.job_spec import JobSpec, LabelPosition
from tests.unit.pipeline.sheets import (
    COLORS,
    brightest,
    cut,
    darkest,
    drawn_outside,
    encoded,
    entry,
    is_plain,
    page,
    plain,
    planned,
    rendered,
)
from worker.pipeline.arrangement import Arrangement, arrange
from worker.pipeline.fingerprint import Fingerprint
from worker.pipeline.image_features import pack, unpack
from worker.pipeline.render import SheetEntry

PHOTOS = sorted((Path(gridscribe.__file__).parent / "samples").glob("*.jpg"))


def arranged(entries: list[SheetEntry], **fields: object) -> Arrangement:
    spec = JobSpec.model_validate(fields)
    return arrange(spec, entries, threads=2, stop=lambda: False)


def first_of_each(arrangement: Arrangement) -> list[int]:
    return [stack[0] for stack in arrangement.stacks]


def pointing(angle: float, model: str = "m") -> SheetEntry:
    """An entry whose features are a direction in the plane, in degrees."""
    radians = np.deg2rad(angle)
    features = np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)
    return entry(b"", f"{angle}.png", features=pack(features), model=model)


def test_the_order_given_is_kept() -> None:
    assert arranged(plain(4)).stacks == ((0,), (1,), (2,), (3,))


def test_names_are_sorted_naturally() -> None:
    entries = [entry(b"", name) for name in ("img_10.png", "img_2.png", "img_1.png")]
    assert first_of_each(arranged(entries, sort="name")) == [2, 1, 0]


def test_a_column_sorts_numbers_by_size_and_leaves_the_nameless_last() -> None:
    entries = [entry(b"", metadata=m) for m in ({"cfg": "12"}, {}, {"cfg": 7.5}, {"cfg": "7"})]
    assert first_of_each(arranged(entries, sort="column:cfg")) == [3, 2, 0, 1]


def test_similarity_brings_like_next_to_like() -> None:
    angles = list(range(0, 90, 5))
    random.Random(3).shuffle(angles)
    angles.insert(0, 0)
    entries = [pointing(angle) for angle in angles]
    order = first_of_each(arranged(entries, sort="similarity"))
    assert [angles[index] for index in order] == sorted(angles)


def test_what_cannot_be_compared_stands_last_and_is_told() -> None:
    entries = [pointing(40), entry(b""), pointing(80, model="other"), pointing(0), pointing(30)]
    arrangement = arranged(entries, sort="similarity")
    assert first_of_each(arrangement) == [0, 4, 3, 1, 2]
    (warning,) = arrangement.warnings
    assert warning.code == "not_compared"
    assert warning.detail.startswith("2 image(s)")


def test_features_keep_their_angles_through_the_store() -> None:
    features = np.random.default_rng(1).normal(size=(5, 1280)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    stored = unpack([pack(row) for row in features])
    np.testing.assert_allclose(stored @ stored.T, features @ features.T, atol=1e-3)


def test_pictures_with_like_features_are_stacked_when_clip_is_on() -> None:
    entries = [pointing(angle) for angle in (0, 60, 5, 65, 120, 10)]
    stacks = arranged(entries, stack_duplicates=True, use_clip=True).stacks
    assert stacks == ((0, 2, 5), (1, 3), (4,))


def test_a_slow_pan_is_not_one_stack() -> None:
    entries = [pointing(angle) for angle in range(0, 91, 10)]
    stacks = arranged(entries, stack_duplicates=True, use_clip=True).stacks
    assert len(stacks) > 4


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
def test_copies_are_known_by_their_fingerprint_and_other_photos_are_not(photo: Path) -> None:
    original = Image.open(photo).convert("RGB")
    mark = Fingerprint.of(original)
    smaller = original.resize((original.width // 3, original.height // 3))
    compressed = Image.open(io.BytesIO(encoded(original, "JPEG", quality=35)))
    brighter = ImageEnhance.Brightness(original).enhance(1.03)
    for copy in (smaller, compressed, brighter):
        assert Fingerprint.of(copy).is_copy_of(mark)
    others = [Fingerprint.of(Image.open(path)) for path in PHOTOS if path != photo]
    assert not any(other.is_copy_of(mark) for other in others)


def test_plain_pictures_of_different_colours_are_no_copies() -> None:
    marks = [Fingerprint.of(Image.new("RGB", (9, 9), color)) for color in COLORS]
    assert not any(a.is_copy_of(b) for n, a in enumerate(marks) for b in marks[:n])


def test_a_stack_shows_one_picture_with_its_number_and_lists_them_all(tmp_path: Path) -> None:
    two = plain(2, (64, 48))
    sheet = rendered(tmp_path, [*two, two[0], two[1], two[0]], stack_duplicates=True, cols=2)
    images = sheet.manifest.images
    assert [image.index for image in images] == [0, 1, 2, 3, 4]
    assert [image.stacked_on for image in images] == [None, None, 0, 1, 0]
    assert [image.cell for image in images[2:]] == [images[n].cell for n in (0, 1, 0)]
    assert {image.picture for image in images[2:]} == {None}
    for number in (0, 1):
        shown = images[number].picture
        assert shown is not None
        picture = cut(page(sheet), shown)
        corner, rest = picture.crop((32, 0, 64, 20)), picture.crop((0, 24, 64, 48))
        assert is_plain(rest, COLORS[number])
        assert brightest(corner) - darkest(corner) > 150  # white on dark


@pytest.mark.parametrize("label_position", LabelPosition)
@pytest.mark.parametrize("side", [16, 24, 200])
@pytest.mark.parametrize("size", [(4, 200), (200, 4)], ids=["narrow", "low"])
def test_a_badge_stays_in_the_room_of_its_picture(
    tmp_path: Path, label_position: LabelPosition, side: int, size: tuple[int, int]
) -> None:
    entries = plain(1, size, label="") * 2
    sheet = rendered(
        tmp_path,
        entries,
        stack_duplicates=True,
        cell_size=(side, side),
        font_size=40,
        label_position=label_position,
    )
    cell = sheet.manifest.images[0].cell
    assert not drawn_outside(page(sheet), [cell.model_copy(update={"height": side})])


@pytest.mark.parametrize("size", [(3000, 2), (2, 3000)], ids=["low", "narrow"])
@pytest.mark.parametrize("label_position", LabelPosition)
def test_a_badge_is_as_readable_on_a_picture_of_one_pixel_as_on_any(
    tmp_path: Path, size: tuple[int, int], label_position: LabelPosition
) -> None:
    def number(size: tuple[int, int]) -> Image.Image:
        black = entry(encoded(Image.new("RGB", size)))
        fields = {"stack_duplicates": True, "cell_size": (200, 200), "background": "#000000"}
        sheet = rendered(tmp_path, [black] * 12, label_position=label_position, **fields)
        written = page(sheet)
        return written.crop(written.getbbox())

    expected = number((200, 200))
    assert expected.width > 10
    assert ImageChops.difference(number(size), expected).getbbox() is None


def test_damaged_pictures_are_never_stacked(tmp_path: Path) -> None:
    entries = [*plain(1), entry(b"damaged"), entry(b"damaged")]
    sheet = rendered(tmp_path, entries, stack_duplicates=True)
    assert [image.stacked_on for image in sheet.manifest.images] == [None] * 3
    assert len(sheet.manifest.warnings) == 2


def test_only_images_of_one_axes_cell_are_stacked() -> None:
    copies = plain(1) * 4
    entries = [
        entry(copy.open().read(), metadata={"cfg": cfg})
        for copy, cfg in zip(copies, (7, 8, 7, 8), strict=True)
    ]
    arrangement = arranged(entries, stack_duplicates=True, axes={"cols_by": "cfg"})
    assert arrangement.stacks == ((0, 2), (1, 3))
    assert arrangement.axes is not None
    assert arrangement.axes.shared_cells == 0


def test_a_plot_shows_each_image_at_its_values_and_marks_the_gaps(tmp_path: Path) -> None:
    known = [("b", 10), ("a", 9), ("a", 10)]
    entries = [
        entry(encoded(Image.new("RGB", (64, 48), COLORS[at])), metadata={"s": s, "cfg": cfg})
        for at, (s, cfg) in enumerate(known)
    ]
    axes = {"rows_by": "s", "cols_by": "cfg"}
    sheet = rendered(tmp_path, entries, axes=axes)
    manifest = sheet.manifest
    assert [(image.row, image.col) for image in manifest.images] == [(1, 1), (0, 0), (0, 1)]
    assert manifest.axes is not None
    assert manifest.axes.cols.values == ("9", "10")
    image = page(sheet)
    for placed in manifest.images:
        assert placed.picture is not None
        assert is_plain(cut(image, placed.picture), COLORS[placed.index])
    spec = JobSpec.model_validate(
        {"cell_size": (64, 48), "margin": 7, "font_size": 10, "axes": axes}
    )
    plan = arrange(spec, entries, threads=1, stop=lambda: False).axes
    layout = planned(sheet, spec, plan)
    (gap,) = layout.gaps
    field = cut(image, gap.box)
    assert brightest(field) < 255
    assert darkest(field) < 200
    assert {header.text for header in layout.headers} == {"s", "cfg", "a", "b", "9", "10"}
    assert all(cut(image, header.box).getcolors(1) is None for header in layout.headers)


@pytest.mark.parametrize("label_position", LabelPosition)
def test_each_header_of_a_plot_is_that_of_its_row_or_column(
    tmp_path: Path, label_position: LabelPosition
) -> None:
    known = [{"s": s, "t": t} for s in ("iii", "mmm") for t in ("ii", "mm")]
    picture = encoded(Image.new("RGB", (64, 48)))
    entries = [entry(picture, metadata=metadata) for metadata in known]
    fields = {"axes": {"rows_by": "s", "cols_by": "t"}, "label_position": label_position}
    sheet = rendered(tmp_path, entries, **fields)
    spec = JobSpec.model_validate({"cell_size": (64, 48), "margin": 7, "font_size": 10, **fields})
    plan = arrange(spec, entries, threads=1, stop=lambda: False).axes
    widths: dict[str, int] = {}
    for header in planned(sheet, spec, plan).headers:
        left, _, right, _ = ImageChops.invert(cut(page(sheet), header.box)).getbbox() or (0,) * 4
        widths[header.text] = right - left
    assert 0 < widths["ii"] < widths["iii"] < widths["mm"] < widths["mmm"]


def test_auto_without_a_grid_makes_a_plain_sheet_and_says_so(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(4), axes="auto")
    assert sheet.manifest.axes is None
    assert [warning.code for warning in sheet.manifest.warnings] == ["no_axes_found"]
