"""Labels in scripts that the shipped font lacks, with the fonts that Debian has for them."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.unit.pipeline.sheets import cut, page, plain, rendered
from worker.pipeline.colors import BLACK
from worker.pipeline.font_files import FontFile, emoji_font, fallback_fonts, has_glyph
from worker.pipeline.typeface import Typeface, Weight, typeface

pytestmark = pytest.mark.system

SIZE = 32


def face() -> Typeface:
    return typeface(Weight.REGULAR, SIZE)


def drawn(text: str) -> Image.Image:
    """The line of text alone, as wide as it says it is."""
    image = Image.new("RGB", (round(face().width(text)), 2 * SIZE), "white")
    face().draw(image, 0, SIZE + SIZE // 3, text, BLACK)
    return image


def font_of(character: str) -> FontFile | None:
    return next((file for file in fallback_fonts() if has_glyph(file, character)), None)


@pytest.mark.parametrize(
    "text", ["宇航员站在旗帜前", "石畳の道とネコ", "카메라를 든 사람", "قطة على طاولة", "שעון"]
)
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
