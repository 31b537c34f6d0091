import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from worker.pipeline import typeface as typeface_module
from worker.pipeline.colors import contrast_ratio, muted_on, strongest_on
from worker.pipeline.font_files import SHIPPED_FOLDER, FontFile, has_glyph
from worker.pipeline.typeface import Typeface, Weight, typeface
from worker.pipeline.typography import clean_text, common_size, fitted, lines_within

FACE = typeface(Weight.REGULAR, 16)
LONG = "a wide shot of an astronaut before the flag in soft studio light " * 10


def drawn(face: Typeface, text: str) -> bytes:
    image = Image.new("RGB", (400, 40))
    face.draw(image, 4, 28, text, (255, 255, 255))
    return image.tobytes()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  two   words\t", "two words"),
        ("prompt: x\r\nseed: 3\n\n", "prompt: x\nseed: 3"),
        ("a\u2028b\vc", "a\nb\nc"),
        ("gnp.\u202egnp.exe\u2066", "gnp.gnp.exe"),
        ("a\u200bb\ufeffc\x00d\x1b[31m", "abcd[31m"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("\u2764\ufe0f\ufe0f", "\u2764\ufe0f"),
        ("a" + "\u0301" * 500, "\u00e1" + "\u0301" * 4),
        ("\u200b\u202e \n", ""),
    ],
    ids=[
        "spaces",
        "lines",
        "odd lines",
        "bidi",
        "invisible",
        "surrogate",
        "selector",
        "zalgo",
        "0",
    ],
)
def test_text_is_cleaned_of_what_cannot_be_seen(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_a_hundred_thousand_characters_are_cut_with_an_ellipsis() -> None:
    assert clean_text("word " * 20_000).endswith("…")
    assert len(clean_text("x" * 100_000)) <= 4001


@pytest.mark.parametrize(
    "text",
    ["word " * 20_000, "x" * 100_000, "\u0301" * 100_000, "\u4e00" * 100_000, "\n" * 100_000],
    ids=["words", "one word", "marks", "ideographs", "empty lines"],
)
def test_hostile_text_takes_little_time(text: str) -> None:
    began = time.perf_counter()
    clean = clean_text(text)
    size = common_size([clean] * 20, Weight.REGULAR, (250, 44), 16)
    fitted(clean, typeface(Weight.REGULAR, size), (250, 44))
    assert time.perf_counter() - began < 2


def test_words_are_wrapped_whole() -> None:
    lines = fitted("one two three four five six seven", FACE, (100, 1000))
    assert len(lines) > 1
    assert " ".join(lines) == "one two three four five six seven"


def test_a_file_name_is_wrapped_behind_its_separators() -> None:
    lines = fitted("render_v003_shot_0010_beauty.png", FACE, (120, 1000))
    assert "".join(lines) == "render_v003_shot_0010_beauty.png"
    assert all(line.endswith("_") for line in lines[:-1])


def test_ideographs_break_anywhere_but_before_a_full_stop() -> None:
    text = "\u4e00" * 10 + "\u3002" + "\u4e8c" * 10
    for width in range(40, 200, 7):  # of two ideographs at least, whichever font has them
        lines = fitted(text, FACE, (width, 10_000))
        assert "".join(lines) == text
        assert not any(line.startswith("\u3002") for line in lines)


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    lines = fitted(LONG, FACE, (200, 50))
    assert len(lines) == 2
    assert lines[-1].endswith("…")


@settings(deadline=None)  # the first text of a script looks for its font
@given(st.text(max_size=300), st.integers(8, 300), st.integers(1, 200), st.integers(6, 40))
def test_lines_stay_within_their_room(text: str, width: int, height: int, size: int) -> None:
    face = typeface(Weight.REGULAR, size)
    lines = fitted(clean_text(text), face, (width, height))
    assert len(lines) <= lines_within(height, size)
    for line in lines:
        is_one_character = sum(not unicodedata.combining(character) for character in line) <= 1
        # One pixel for the kerning between pieces that were measured one by one.
        assert face.width(line) <= width + 1 or is_one_character or not line.isascii()


def test_short_labels_keep_the_asked_size() -> None:
    assert common_size(["a", "b"], Weight.REGULAR, (200, 44), 16) == 16


def test_one_size_suits_all_labels_that_can_fit() -> None:
    middling = "a wide shot of an astronaut in orange, before the flag"
    size = common_size(["a", middling], Weight.REGULAR, (200, 44), 16)
    assert 11 <= size < 16
    assert not fitted(middling, typeface(Weight.REGULAR, size), (200, 44))[-1].endswith("…")
    assert fitted(middling, typeface(Weight.REGULAR, size + 1), (200, 44))[-1].endswith("…")


@pytest.mark.parametrize("texts", [[LONG], [LONG, LONG], ["a", LONG, "b"]])
def test_labels_shrink_before_any_of_them_is_cut(texts: list[str]) -> None:
    size = common_size(texts, Weight.REGULAR, (200, 44), 16)
    assert size == 11, "70 % of 16"
    small, full = (fitted(LONG, typeface(Weight.REGULAR, s), (200, 44)) for s in (size, 16))
    assert small[-1].endswith("…")
    assert len(" ".join(small)) > 1.8 * len(" ".join(full)), "more can be read"


def test_labels_never_shrink_below_what_can_be_read_unless_asked() -> None:
    assert common_size([LONG], Weight.REGULAR, (200, 44), 10) == 9
    assert common_size([LONG], Weight.REGULAR, (200, 44), 7) == 7


SHORT = ["seed: 7919", "cfg: 7"]


@pytest.mark.parametrize(
    ("paragraphs", "lines"),
    [
        ([f"prompt: {LONG}", *SHORT], [2, 1, 1]),
        ([SHORT[0], f"prompt: {LONG}", SHORT[1]], [1, 2, 1]),
        ([f"prompt: {LONG}", f"negative: {LONG}"], [2, 2]),
        ([f"prompt: {LONG}", f"negative: {LONG}", SHORT[0]], [2, 1, 1]),
        ([LONG, *SHORT, "steps: 20"], [1, 1, 1, 1]),
    ],
    ids=["first", "between", "two", "two and a short one", "no room to spare"],
)
def test_a_long_line_is_cut_and_the_short_ones_beside_it_stay_whole(
    paragraphs: list[str], lines: list[int]
) -> None:
    shown = fitted("\n".join(paragraphs), FACE, (200, 4 * 22))
    assert len(shown) == sum(lines) == 4
    for paragraph, count in zip(paragraphs, lines, strict=True):
        own, shown = shown[:count], shown[count:]
        if len(paragraph) < 20:
            assert own == [paragraph]
        else:
            assert own[-1].endswith("…")
            assert paragraph.startswith(" ".join(own).removesuffix("…"))


def test_a_text_of_more_lines_than_there_are_ends_in_an_ellipsis() -> None:
    assert fitted("one\ntwo\nthree", FACE, (200, 44)) == ["one", "two…"]
    assert fitted("one\ntwo", FACE, (200, 44)) == ["one", "two"]


def test_a_band_lower_than_a_line_shrinks_the_text_into_it() -> None:
    assert common_size(["a"], Weight.REGULAR, (200, 10), 16) == 7


def test_latin_greek_and_cyrillic_come_from_the_shipped_font(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "Grüße Ελληνικά Кириллица"
    expected = drawn(FACE, text)
    monkeypatch.setattr(typeface_module, "fallback_fonts", lambda: ())
    assert drawn(Typeface(Weight.REGULAR, 16), text) == expected


def test_a_missing_script_comes_from_a_fallback_font(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bold font stands in for a system's, the hole in the regular one is made by hand: which
    # scripts this machine has fonts for must not matter here.
    bold = FontFile(SHIPPED_FOLDER / Weight.BOLD)
    monkeypatch.setattr(typeface_module, "fallback_fonts", lambda: (bold,))
    monkeypatch.setattr(
        typeface_module, "has_glyph", lambda file, char: file == bold or char < "\u0400"
    )
    mixed = Typeface(Weight.REGULAR, 16)
    assert drawn(mixed, "жук") == drawn(typeface(Weight.BOLD, 16), "жук")
    assert mixed.width("beetle: жук") == pytest.approx(
        FACE.width("beetle: ") + typeface(Weight.BOLD, 16).width("жук")
    )


def test_a_glyph_no_font_has_is_told_from_one_that_is_there() -> None:
    shipped = FontFile(SHIPPED_FOLDER / Weight.REGULAR)
    assert has_glyph(shipped, "ж")
    assert has_glyph(shipped, "\u00a0")
    assert not has_glyph(shipped, "\u4e00")


def test_every_background_leaves_text_readable() -> None:
    for red in range(0, 256, 15):
        for green in range(0, 256, 15):
            for blue in (0, 128, 255):
                background = (red, green, blue)
                assert contrast_ratio(muted_on(background), background) >= 4.5
                assert contrast_ratio(strongest_on(background), background) >= 4.5


def test_black_on_white_has_the_contrast_that_wcag_says() -> None:
    assert contrast_ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast_ratio((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
