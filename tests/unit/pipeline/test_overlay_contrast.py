"""Whether a label over its picture can be read, measured in the pixels of the finished sheet."""

from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from tests.unit.pipeline.sheets import cut, encoded, entry, page, rendered
from worker.pipeline.colors import contrast_ratio

SIDE = 128
LABEL = "Will it be legible?"
LEAST = 4.5
"""WCAG 2.2, success criterion 1.4.3, level AA, for text of any size."""
REACH = 2
"""Pixels around a stroke that decide whether it stands out."""


def gradient() -> Image.Image:
    return Image.linear_gradient("L").resize((SIDE, SIDE)).rotate(90)


def checkered() -> Image.Image:
    rows, cols = np.indices((SIDE, SIDE))
    return Image.fromarray(((rows // 3 + cols // 3) % 2 * 255).astype(np.uint8))


PICTURES = {
    "white": Image.new("RGB", (SIDE, SIDE), "white"),
    "black": Image.new("RGB", (SIDE, SIDE), "black"),
    "mid-grey": Image.new("RGB", (SIDE, SIDE), (119, 119, 119)),
    "yellow": Image.new("RGB", (SIDE, SIDE), (255, 255, 0)),
    "noise": Image.effect_noise((SIDE, SIDE), 200),
    "gradient": gradient(),
    "checkered": checkered(),
}


def labelled(folder: Path, picture: Image.Image, label: str, **fields: object) -> Image.Image:
    """The cell of a sheet of one picture, its label over it."""
    fields = {"label_position": "overlay", "cell_size": (SIDE, SIDE), "font_size": 16, **fields}
    sheet = rendered(folder, [entry(encoded(picture.convert("RGB")), label=label)], **fields)
    return cut(page(sheet), sheet.manifest.images[0].cell)


def strokes(folder: Path, **fields: object) -> NDArray[np.float64]:
    """How much of each pixel is covered by text, 0 to 1: all that is bright on a black picture."""
    cell = labelled(folder, PICTURES["black"], LABEL, background="#000000", **fields)
    return np.asarray(cell.convert("L"), dtype=np.float64) / 255


def luminances(cell: Image.Image) -> NDArray[np.float64]:
    """Relative luminance of each pixel as WCAG 2.2 defines it."""
    values = np.asarray(cell, dtype=np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    weighed: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighed


def least_contrast(cell: Image.Image, coverage: NDArray[np.float64]) -> float:
    """Between any stroke and the brightest pixel near it that no text covers."""
    light = luminances(cell)
    behind = np.pad(np.where(coverage < 0.01, light, 0), REACH)
    window = (2 * REACH + 1, 2 * REACH + 1)
    brightest = sliding_window_view(behind, window).max(axis=(2, 3))
    ratios = (light + 0.05) / (brightest + 0.05)
    return float(ratios[coverage > 0.95].min())


def test_the_measure_agrees_with_plain_colours() -> None:
    cell = Image.new("RGB", (9, 9), (90, 90, 90))
    cell.putpixel((4, 4), (200, 220, 240))
    coverage = np.zeros((9, 9))
    coverage[4, 4] = 1
    expected = contrast_ratio((90, 90, 90), (200, 220, 240))
    assert least_contrast(cell, coverage) == pytest.approx(expected)


@pytest.mark.parametrize("name", PICTURES)
def test_a_label_over_any_picture_has_the_contrast_that_wcag_asks_for(
    tmp_path: Path, name: str
) -> None:
    coverage = strokes(tmp_path)
    assert (coverage > 0.95).sum() > 100, "there is text to measure"
    assert least_contrast(labelled(tmp_path, PICTURES[name], LABEL), coverage) >= LEAST


@pytest.mark.parametrize("background", ["#ffffff", "#777777", "#ffcc00"])
@pytest.mark.parametrize("size", [(20, 120), (120, 20)], ids=["narrow", "low"])
def test_where_a_picture_leaves_its_label_no_room_it_has_contrast_with_the_background_too(
    tmp_path: Path, background: str, size: tuple[int, int]
) -> None:
    white, black = Image.new("RGB", size, "white"), Image.new("RGB", size, "black")
    coverage = np.asarray(
        labelled(tmp_path, black, LABEL, background="#000000").convert("L"), dtype=np.float64
    )
    cell = labelled(tmp_path, white, LABEL, background=background)
    assert least_contrast(cell, coverage / 255) >= LEAST
