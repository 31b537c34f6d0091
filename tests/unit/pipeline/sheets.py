"""Sheets of plain pictures, and ways to read them back."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat

from shared.axes import AxisPlan
from shared.job_spec import JobSpec, LabelPosition
from shared.layout import SheetLayout, caption_lines, plan_sheet
from shared.schemas import Box
from shared.text_metrics import line_height, text_padding
from worker.pipeline.render import RenderedSheet, SheetEntry, render_sheet

COLORS = [(40 + 15 * i, 250 - 14 * i, (90 * i) % 256) for i in range(14)]


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def entry(data: bytes, name: str = "picture.png", label: str = "", **fields: Any) -> SheetEntry:
    return SheetEntry(name=name, label=label, open=lambda: io.BytesIO(data), **fields)


def plain(count: int, size: tuple[int, int] = (30, 30), label: str = "a label") -> list[SheetEntry]:
    return [
        entry(encoded(Image.new("RGB", size, COLORS[i % len(COLORS)])), f"{i}.png", label)
        for i in range(count)
    ]


def rendered(folder: Path, entries: Sequence[SheetEntry], **fields: Any) -> RenderedSheet:
    fields = {"cell_size": (64, 48), "margin": 7, "font_size": 10, **fields}
    return render_sheet(JobSpec(**fields), entries, folder, max_pixels=10**8)


def page(sheet: RenderedSheet, number: int = 1) -> Image.Image:
    with Image.open(sheet.pages[number - 1].path) as image:
        return image.convert("RGB")


def planned(sheet: RenderedSheet, spec: JobSpec, axes: AxisPlan | None = None) -> SheetLayout:
    """The layout with as many lines a label as the manifest's cells have room for."""
    first = sheet.manifest.images[0].cell
    band = first.height - spec.cell_size[1] - 2 * text_padding(spec.font_size)
    lines, rest = divmod(band, line_height(spec.font_size))
    has_band = spec.label_position is LabelPosition.BAND
    assert not has_band or (rest == 0 and 1 <= lines <= caption_lines(spec))
    shown = sum(placed.stacked_on is None for placed in sheet.manifest.images)
    return plan_sheet(
        spec, shown, max_pixels=10**8, axes=axes, label_lines=lines if has_band else None
    )


def cut(image: Image.Image, box: Box) -> Image.Image:
    return image.crop((box.x, box.y, box.x + box.width, box.y + box.height))


def is_plain(image: Image.Image, color: tuple[int, ...]) -> bool:
    return image.getextrema() == tuple((value, value) for value in color)


def brightest(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L")).extrema[0][1]


def darkest(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L")).extrema[0][0]


def drawn_outside(image: Image.Image, boxes: Sequence[Box], background: str = "white") -> bool:
    """Whether any pixel outside of `boxes` is not background."""
    image = image.copy()
    for box in boxes:
        image.paste(background, (box.x, box.y, box.x + box.width, box.y + box.height))
    blank = Image.new("RGB", image.size, background)
    return ImageChops.difference(image, blank).getbbox() is not None


def striped() -> bytes:
    """100 x 50: a red, a green and a blue stripe, the outer ones a fifth wide each."""
    image = Image.new("RGB", (100, 50), (0, 255, 0))
    image.paste((255, 0, 0), (0, 0, 20, 50))
    image.paste((0, 0, 255), (80, 0, 100, 50))
    return encoded(image)
