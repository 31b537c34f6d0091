"""Scripts beyond Latin: direction, joined letters, emoji."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from shared.settings import get_settings
from worker.pipeline import font_files
from worker.pipeline.bidi_order import (
    RIGHT_TO_LEFT_MARK,
    embedding_levels,
    in_visual_order,
    is_right_to_left,
)
from worker.pipeline.font_files import SHIPPED_FOLDER
from worker.pipeline.graphemes import clusters, is_emoji
from worker.pipeline.typeface import Weight, typeface
from worker.pipeline.typography import clean_text, fitted

FACE = typeface(Weight.REGULAR, 16)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"


@dataclass(frozen=True)
class Letter:
    text: str
    level: int


def shown(text: str) -> str:
    """The characters from left to right."""
    levels = embedding_levels(list(text), right_to_left=is_right_to_left(text))
    letters = [Letter(character, level) for character, level in zip(text, levels, strict=True)]
    return "".join(letter.text for letter in in_visual_order(letters))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("seed \u05d0\u05d1\u05d2 7", "seed 7 \u05d2\u05d1\u05d0"),
        ("\u05d0\u05d1 abc \u05d2\u05d3", "\u05d3\u05d2 abc \u05d1\u05d0"),
        ("\u05d0\u05d1 42", "42 \u05d1\u05d0"),
        ("\u0627\u0644 7.5, 8", "8 ,7.5 \u0644\u0627"),
        ("a \u05d0 12 \u05d1 b", "a \u05d1 12 \u05d0 b"),
    ],
    ids=["latin", "hebrew in latin", "latin in hebrew", "number", "arabic numbers", "nested"],
)
def test_characters_stand_in_the_order_that_unicode_says(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_every_line_runs_as_its_paragraph_does() -> None:
    paragraph = f"{HEBREW} latin words in between {HEBREW} " * 3
    lines = fitted(clean_text(paragraph), FACE, (90, 1000))
    assert len(lines) > 4
    assert all(is_right_to_left(line) for line in lines)
    assert any(line.startswith(RIGHT_TO_LEFT_MARK) for line in lines)
    assert " ".join(line.removeprefix(RIGHT_TO_LEFT_MARK) for line in lines) == paragraph.strip()


@pytest.mark.parametrize(
    ("text", "first"),
    [("\u05d0\u05d1 WW", "WW"), ("WW \u05d0\u05d1", "WW"), ("\u05d0\u05d1 42", "42")],
    ids=["latin in hebrew", "hebrew in latin", "number in hebrew"],
)
def test_a_line_is_drawn_in_the_order_in_which_it_is_seen(text: str, first: str) -> None:
    """Whichever font has the Hebrew letters, be it as boxes: what stands leftmost is Latin."""

    def beginning(text: str) -> bytes:
        image = Image.new("RGB", (200, 40))
        FACE.draw(image, 4, 28, text, (255, 255, 255))
        return image.crop((0, 0, 4 + int(FACE.width(first)), 40)).tobytes()

    assert beginning(text) == beginning(first)


def test_a_mark_of_direction_has_no_width() -> None:
    assert FACE.width(RIGHT_TO_LEFT_MARK + "latin") == FACE.width("latin")


@pytest.mark.parametrize(
    "text", [FAMILY, SCOTLAND, PERSIAN, "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001f44d\U0001f3fd"]
)
def test_what_shapes_a_character_is_kept_and_never_torn_off(text: str) -> None:
    assert clean_text(text) == text
    assert "".join(fitted(text * 9, FACE, (30, 10_000))) == text * 9
    if text != PERSIAN:
        assert clusters(text) == [text]
        assert is_emoji(text)
        assert all(text in line for line in fitted(text * 9, FACE, (30, 10_000)))


@pytest.mark.parametrize("text", ["a\u200db", "\u200d\u200d", "x\U000e0067", " \ufe0f"])
def test_what_is_invisible_elsewhere_is_dropped(text: str) -> None:
    assert (
        clean_text(text)
        == text.translate(dict.fromkeys(map(ord, "\u200d\U000e0067\ufe0f"))).strip()
    )


@pytest.mark.parametrize("text", ["1", "#", "a", "\u2764", "\u2600\ufe0e", "\u00a9"])
def test_signs_that_are_text_by_themselves_stay_text(text: str) -> None:
    assert not is_emoji(text)


def test_fonts_of_the_named_folders_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for weight in Weight:
        shutil.copy(SHIPPED_FOLDER / weight, tmp_path / weight.replace("NotoSans", "House"))
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setenv("GRIDSCRIBE_FONT_DIRS", f"{tmp_path}, {tmp_path / 'absent'}")
    for cached in (get_settings, font_files.fallback_fonts, font_files.emoji_font):
        cached.cache_clear()
    try:
        found = font_files.fallback_fonts()
        assert [file.path.name for file in found[:2]] == ["House-Regular.ttf", "House-Bold.ttf"]
        assert found[0].bold().path.name == "House-Bold.ttf"
        assert "broken.ttf" not in [file.path.name for file in found]
    finally:
        monkeypatch.undo()
        for cached in (get_settings, font_files.fallback_fonts, font_files.emoji_font):
            cached.cache_clear()
