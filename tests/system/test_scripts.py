"""Labels in scripts that the shipped font lacks, with the fonts that Debian has for them."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from tests.unit.pipeline.sheets import cut, page, plain, rendered
from worker.pipeline.colors import BLACK
from worker.pipeline.font_files import (
    SHIPPED_FOLDER,
    FontFile,
    emoji_font,
    fallback_fonts,
    has_glyph,
)
from worker.pipeline.typeface import Typeface, Weight, typeface

pytestmark = pytest.mark.system

SIZE = 32
LABELS = {
    "Chinese": "宇航员站在旗帜前",
    "Japanese": "石畳の道とネコ",
    "Korean": "카메라를 든 사람",
    "Arabic": "قطة على طاولة",
    "Hebrew": "שעון במטושטש",
    "emoji": "🚀🍋🍀",
}
UNASSIGNED = "\u0378"
"""No font has a glyph for it."""


def face() -> Typeface:
    return typeface(Weight.REGULAR, SIZE)


def drawn(text: str) -> Image.Image:
    """The line of text alone, as wide as it says it is."""
    image = Image.new("RGB", (round(face().width(text)), 2 * SIZE), "white")
    face().draw(image, 0, SIZE + SIZE // 3, text, BLACK)
    return image


def font_of(character: str) -> FontFile | None:
    return next((file for file in fallback_fonts() if has_glyph(file, character)), None)


def label_bands(folder: Path, texts: list[str]) -> list[Image.Image]:
    """The written part of the bands below the pictures of one sheet."""
    entries = [
        replace(each, label=text) for each, text in zip(plain(len(texts)), texts, strict=True)
    ]
    sheet = rendered(folder, entries, font_size=SIZE, cell_size=(400, 60), cols=2)
    bands = []
    for shown in sheet.manifest.images:
        assert shown.picture is not None
        cell = cut(page(sheet), shown.cell)
        top = shown.picture.y + shown.picture.height - shown.cell.y
        band = cell.crop((0, top, *cell.size))
        bands.append(ImageOps.expand(band.crop(ImageChops.invert(band).getbbox()), 3, "white"))
    return bands


def ink(image: Image.Image) -> NDArray[np.float32]:
    """0 where the paper is bare, 1 where a stroke is darkest."""
    levels = 255 - np.asarray(image.convert("L"), dtype=np.float32)
    shares: NDArray[np.float32] = levels / levels.max()
    return shares


def holds_a_box(band: Image.Image, file: FontFile) -> bool:
    """Whether the font's sign for a missing glyph (.notdef) is anywhere in the band.

    Correlation over all places at which a glyph may begin, half pixels too.
    """
    font = ImageFont.truetype(str(file.path), SIZE, index=file.face)
    drawn_on = ink(band)
    for part in (0.0, 0.5):
        probe = Image.new("RGB", (3 * SIZE, 3 * SIZE), "white")
        ImageDraw.Draw(probe).text((SIZE + part, 2 * SIZE), UNASSIGNED, BLACK, font, anchor="ls")
        box = ink(probe.crop(ImageChops.invert(probe).getbbox()))
        box -= box.mean()
        windows = sliding_window_view(drawn_on, box.shape)
        centred = windows - windows.mean(axis=(2, 3), keepdims=True)
        norms = np.sqrt((centred**2).sum(axis=(2, 3)) * (box**2).sum())
        likeness = (centred * box).sum(axis=(2, 3)) / np.maximum(norms, 1e-6)
        if likeness.max() > 0.9:
            return True
    return False


def test_a_sheet_shows_every_script_with_glyphs_and_no_box(tmp_path: Path) -> None:
    fonts = [FontFile(SHIPPED_FOLDER / Weight.REGULAR), *fallback_fonts()]
    *bands, unknown = label_bands(tmp_path, [*LABELS.values(), f"a{UNASSIGNED}b"])
    assert holds_a_box(unknown, fonts[0]), "what no font has is a box, which is seen here"
    for script, band in zip(LABELS, bands, strict=True):
        assert ink(band).sum() > SIZE, f"{script} is drawn"
        boxed = [font.path.name for font in fonts if holds_a_box(band, font)]
        assert boxed == [], script


def test_emoji_on_a_sheet_have_the_colours_of_their_font(tmp_path: Path) -> None:
    [band] = label_bands(tmp_path, ["🍋"])
    red, green, blue = (
        np.asarray(channel, dtype=np.float32)[np.asarray(band.convert("HSV"))[..., 1] > 100].mean()
        for channel in band.split()
    )
    assert red > 180
    assert green > 150
    assert blue < 120, "a lemon is yellow"


@pytest.mark.parametrize("text", [text for name, text in LABELS.items() if name != "emoji"])
def test_every_letter_has_a_glyph(text: str) -> None:
    letters = [letter for letter in text if unicodedata.category(letter).startswith("L")]
    assert [letter for letter in letters if font_of(letter) is None] == []
    assert len({drawn(letter).tobytes() for letter in letters}) == len(set(letters)), "no boxes"


def test_an_ideograph_has_its_form_in_each_language() -> None:
    chinese, japanese = drawn("直直"), drawn("直直の").crop((0, 0, 2 * SIZE, 2 * SIZE))
    assert ImageChops.difference(chinese, japanese).getbbox() is not None


def test_arabic_letters_are_joined_and_run_to_the_left() -> None:
    word = "بيت"
    assert face().width(word) < 0.9 * sum(face().width(letter) for letter in word)
    alef, two = drawn("\u0627"), drawn("\u0627\u062f")  # neither joins the other
    assert two.width > alef.width
    first = two.crop((two.width - alef.width + 1, 0, two.width, two.height))
    assert ImageChops.difference(first, alef.crop((1, 0, *alef.size))).getbbox() is None


def test_emoji_are_drawn_in_colour_and_within_their_band(tmp_path: Path) -> None:
    assert emoji_font() is not None
    sheet = rendered(tmp_path, plain(1, label="🚀 ⭐ 👩‍🚀"), font_size=20, cell_size=(200, 60))
    [shown] = sheet.manifest.images
    assert shown.picture is not None
    cell = cut(page(sheet), shown.cell)
    band = cell.crop((0, shown.picture.y + shown.picture.height - shown.cell.y, *cell.size))
    saturation = band.convert("HSV").getchannel("S")
    assert sum(saturation.histogram()[150:]) > 100, "colours, where text has none"
