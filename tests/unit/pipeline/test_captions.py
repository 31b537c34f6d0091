from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from shared.job_spec import JobSpec, LabelPosition
from shared.layout import plan_sheet
from shared.smart_labels import smart_labels
from shared.text_metrics import line_height, text_padding
from tests.unit.pipeline.sheets import (
    COLORS,
    brightest,
    cut,
    drawn_outside,
    encoded,
    entry,
    is_plain,
    page,
    plain,
    planned,
    rendered,
)
from worker.pipeline.colors import Rgb, contrast_ratio
from worker.pipeline.render import render_sheet

LONG = "a wide shot of an astronaut before the flag in soft studio light " * 20


@pytest.mark.parametrize("label", ["short", LONG, "x" * 100_000, "j\u0301\u0302\u0303\u0304Åg" * 9])
@pytest.mark.parametrize("cell_size", [(16, 16), (64, 48), (200, 50)])
def test_a_label_never_leaves_its_band(
    tmp_path: Path, label: str, cell_size: tuple[int, int]
) -> None:
    spec = JobSpec(cell_size=cell_size, margin=3, font_size=14, cols=2)
    sheet = render_sheet(spec, plain(4, cell_size, label), tmp_path, max_pixels=10**8)
    layout = planned(sheet, spec)
    with Image.open(tmp_path / "page-1.png") as image:
        bands = [cell.band for cell in layout.cells if cell.band]
        assert all(cut(image, band).getcolors(1) is None for band in bands)  # something is there
        assert not drawn_outside(image, [cell.picture for cell in layout.cells] + bands)


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (("fox", "owl"), 1),
        (("fox", "a fox in the snow"), 2),
        (("fox", "seed: 1\ncfg: 7"), 2),
        (("fox", LONG), 2),
        (("\u200b", "\u200b"), 1),
    ],
)
def test_a_band_has_room_for_the_lines_of_the_longest_label_and_no_more(
    tmp_path: Path, texts: tuple[str, str], lines: int
) -> None:
    entries = [replace(each, label=text) for each, text in zip(plain(2), texts, strict=True)]
    sheet = rendered(tmp_path, entries, font_size=10)
    height = lines * line_height(10) + 2 * text_padding(10)
    assert [placed.cell.height for placed in sheet.manifest.images] == [48 + height] * 2
    assert page(sheet).height == 2 * 7 + 48 + height


@pytest.mark.parametrize("label_position", [LabelPosition.BAND, LabelPosition.OVERLAY])
@pytest.mark.parametrize("label", ["HHHH", "HHHH\nHH", "HH\nHHHH"])
def test_a_label_stands_in_the_middle_right_below_its_picture_and_whole(
    tmp_path: Path, label_position: LabelPosition, label: str
) -> None:
    black = [entry(encoded(Image.new("RGB", (200, 160))), label=label)]
    look = {"font_size": 20, "cell_size": (200, 160), "label_position": label_position}
    sheet = rendered(tmp_path, black, background="#000000", **look)
    cell = cut(page(sheet), sheet.manifest.images[0].cell)
    left, top, right, bottom = cell.getbbox() or (0, 0, 0, 0)
    lines = label.count("\n") + 1
    begins = 160 if label_position is LabelPosition.BAND else 160 - lines * line_height(20)
    assert abs((left + right) - cell.width) <= 4
    assert begins < top < begins + line_height(20) / 2 + text_padding(20) / 2
    assert bottom <= cell.height - text_padding(20) / 2
    capital = 0.714 * 20  # over the font size, as Noto Sans has it
    assert bottom - top == pytest.approx((lines - 1) * line_height(20) + capital, abs=2)


def test_short_labels_make_pages_lower_but_no_other_grid(tmp_path: Path) -> None:
    spec = JobSpec(cell_size=(64, 48), font_size=30)
    sheet = render_sheet(spec, plain(14, label="x"), tmp_path, max_pixels=10**8)
    bound = plan_sheet(spec, 14, max_pixels=10**8)
    assert (sheet.manifest.rows, sheet.manifest.cols) == (bound.rows, bound.cols)
    assert page(sheet).width == bound.pages[0].width
    assert page(sheet).height == bound.pages[0].height - bound.rows * line_height(30)


def test_no_label_means_an_empty_band(tmp_path: Path) -> None:
    sheet = rendered(tmp_path, plain(4, label="\u200b"))
    pictures = [placed.picture for placed in sheet.manifest.images if placed.picture]
    assert not drawn_outside(page(sheet), pictures)


def test_an_overlay_darkens_the_lower_edge_of_its_picture_only(tmp_path: Path) -> None:
    entries = plain(2, (64, 48), "label")
    sheet = rendered(tmp_path, entries, label_position=LabelPosition.OVERLAY)
    image = page(sheet)
    for i, placed in enumerate(sheet.manifest.images):
        assert placed.picture == placed.cell
        picture = cut(image, placed.cell)
        assert is_plain(picture.crop((0, 0, 64, 20)), COLORS[i])
        red, green, blue = picture.getpixel((0, 47))  # type: ignore[misc]  # RGB: a tuple
        assert red + green + blue < sum(COLORS[i]) / 2
        assert brightest(picture.crop((0, 20, 64, 48))) > 220
    assert not drawn_outside(image, [placed.cell for placed in sheet.manifest.images])


def test_without_labels_the_cell_is_the_picture(tmp_path: Path) -> None:
    sheet = rendered(
        tmp_path, plain(3, label=LONG), label_position=LabelPosition.NONE, resize_mode="fill"
    )
    for i, placed in enumerate(sheet.manifest.images):
        assert is_plain(cut(page(sheet), placed.cell), COLORS[i])


def test_a_title_is_drawn_in_its_box_on_every_page(tmp_path: Path) -> None:
    fields = {"rows": 1, "cols": 2, "title": "A title that is rather long, to be wrapped"}
    sheet = rendered(tmp_path, plain(3, label=""), **fields)
    spec = JobSpec(cell_size=(64, 48), margin=7, font_size=10, **fields)
    title_box = plan_sheet(spec, 3, max_pixels=10**8).title_box
    assert title_box is not None
    for number in (1, 2):
        image = page(sheet, number)
        assert cut(image, title_box).getcolors(1) is None
        pictures = [p.picture for p in sheet.manifest.images if p.page == number and p.picture]
        assert not drawn_outside(image, [title_box, *pictures])


@pytest.mark.parametrize("title", [None, "Foxes"])
def test_a_header_and_what_varies_are_drawn_where_the_layout_says(
    tmp_path: Path, title: str | None
) -> None:
    fields = {"rows": 1, "cols": 2, "labels": ("auto",), "title": title}
    spec = JobSpec(cell_size=(64, 48), margin=7, font_size=10, **fields)
    labels = smart_labels([{"seed": str(n), "steps": "20", "cfg": "7"} for n in (1, 2, 3, 3)])
    entries = [
        replace(entry, label=text) for entry, text in zip(plain(4), labels.texts, strict=True)
    ]
    sheet = render_sheet(spec, entries, tmp_path, max_pixels=10**8, header=labels.header)
    assert sheet.manifest.header == "cfg 7 · steps 20"
    layout = planned(sheet, spec)
    header = layout.header_box
    assert header is not None
    heads = [box for box in (layout.title_box, header) if box]
    bands = [cell.band for cell in layout.cells if cell.band]
    drawn = [
        cut(page(sheet, cell.page), band).tobytes()  # without the manifest that the file carries
        for cell, band in zip(layout.cells, bands, strict=True)
    ]
    for number in (1, 2):
        assert cut(page(sheet, number), header).getcolors(1) is None
        pictures = [cell.picture for cell in layout.cells]
        assert not drawn_outside(page(sheet, number), [*heads, *pictures, *bands])
    assert drawn[0] != drawn[1]
    assert drawn[2] == drawn[3], "the same seed, the same pixels"
    without = render_sheet(spec, entries, tmp_path, max_pixels=10**8)
    assert cut(page(without), header).getcolors(1) is not None
    assert cut(page(without), bands[0]).tobytes() == drawn[0]


def test_a_long_header_stays_in_its_box(tmp_path: Path) -> None:
    spec = JobSpec(cell_size=(64, 48), margin=7, font_size=10, cols=2, labels=("auto",))
    sheet = render_sheet(
        spec, plain(2, label=""), tmp_path, max_pixels=10**8, header=LONG + "\n" + LONG
    )
    header = plan_sheet(spec, 2, max_pixels=10**8).header_box
    assert header is not None
    pictures = [placed.picture for placed in sheet.manifest.images if placed.picture]
    assert not drawn_outside(page(sheet), [header, *pictures])


def test_a_seed_is_seen_below_a_prompt_however_long_that_is(tmp_path: Path) -> None:
    seeds = (11, 22, 22)
    entries = [
        replace(each, label=f"prompt: {LONG}\nseed: {seed}\ncfg: 7")
        for each, seed in zip(plain(3), seeds, strict=True)
    ]
    labels = ("prompt", "seed", "cfg")
    sheet = rendered(tmp_path, entries, labels=labels, cell_size=(160, 48))
    cells = [cut(page(sheet), placed.cell) for placed in sheet.manifest.images]
    first, second, third = (cell.crop((0, 48, *cell.size)).tobytes() for cell in cells)
    assert first != second, "another seed"
    assert second == third, "the same"


BACKGROUNDS = ["#000000", "#ffffff", "#777777", "#ffcc00", "#20104f"]


def text_contrast(image: Image.Image) -> float:
    """WCAG's ratio between the most frequent colour and what stands out most from it."""
    colors = cast(list[tuple[int, Rgb]], image.getcolors(2**16))  # RGB: no numbers, no None
    _, field = max(colors)
    return max(contrast_ratio(color, field) for _, color in colors)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_captions_stand_out_from_any_background(tmp_path: Path, background: str) -> None:
    sheet = rendered(tmp_path, plain(1, label="WWWW"), background=background)
    cell = sheet.manifest.images[0].cell
    band = cut(page(sheet), cell).crop((0, 48, 64, cell.height))
    assert text_contrast(band) >= 4.5


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_what_is_said_of_a_damaged_picture_stands_out_too(tmp_path: Path, background: str) -> None:
    fields = {"cell_size": (200, 100), "font_size": 20, "background": background}
    sheet = rendered(tmp_path, [entry(b"damaged"), *plain(1, label="")], **fields)
    cell = sheet.manifest.images[0].cell
    words = cut(page(sheet), cell).crop((10, 55, 190, 95))
    assert text_contrast(words) >= 4.5
