"""Fonts: the shipped one first, the system's for characters that it lacks."""

import os
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from worker.pipeline.colors import Rgb

SHIPPED_FOLDER = Path(__file__).parent / "fonts"

SYSTEM_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
)
FALLBACK_FILES = (
    "NotoSansCJK-Regular.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansSymbols2-Regular.ttf",
    "NotoEmoji-Regular.ttf",
    "Symbola.ttf",
    "DejaVuSans.ttf",
    "Arial Unicode.ttf",
)
"""In order of preference. Colour emoji fonts are bitmaps of one size and do not belong here."""

PROBE_SIZE = 16
UNENCODED = "\U0010ffff"
"""A noncharacter: every font answers with its box for missing glyphs."""


class Weight(StrEnum):
    """The value is the shipped font's file."""

    REGULAR = "NotoSans-Regular.ttf"
    BOLD = "NotoSans-Bold.ttf"


class Typeface:
    """One weight at one size in pixels, with a fallback for every script that can be had."""

    def __init__(self, weight: Weight, size: int) -> None:
        self.size = size
        self._paths = (SHIPPED_FOLDER / weight, *_fallback_paths())
        self.ascent, self.descent = self._font(0).getmetrics()
        self._width_of_word = lru_cache(maxsize=4096)(self._measured)

    def width(self, text: str) -> float:
        """Of one line, in pixels."""
        return self._width_of_word(text) if len(text) < 64 else self._measured(text)

    def draw(
        self, draw: ImageDraw.ImageDraw, x: float, baseline: int, text: str, fill: Rgb
    ) -> None:
        for font, run in self._runs(text):
            draw.text((x, baseline), run, fill=fill, font=font, anchor="ls")
            x += font.getlength(run)

    def _measured(self, text: str) -> float:
        return sum(font.getlength(run) for font, run in self._runs(text))

    def _runs(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """`text` cut where the font changes.

        What belongs to no script (spaces, punctuation, marks) stays in the font of what precedes
        it, so that a right-to-left sentence is laid out as one.
        """
        if text.isascii():
            yield self._font(0), text
            return
        start, current = 0, 0
        for position, character in enumerate(text):
            if not character.isalnum() and position and _has(self._paths[current], character):
                continue
            chosen = self._first_with(character)
            if chosen != current:
                if position > start:
                    yield self._font(current), text[start:position]
                start, current = position, chosen
        if start < len(text):
            yield self._font(current), text[start:]

    def _first_with(self, character: str) -> int:
        """Index of the first font that has it; where none does, the shipped one draws its box."""
        return next((i for i, path in enumerate(self._paths) if _has(path, character)), 0)

    def _font(self, index: int) -> ImageFont.FreeTypeFont:
        return _font(self._paths[index], self.size)


@lru_cache(maxsize=64)
def typeface(weight: Weight, size: int) -> Typeface:
    return Typeface(weight, size)


@lru_cache(maxsize=256)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


@lru_cache(maxsize=100_000)
def _has(path: Path, character: str) -> bool:
    """Whether the font has a glyph of its own for it; Pillow tells no other way than drawing it."""
    if unicodedata.category(character) == "Zs":
        return True
    return _glyph(path, character) != _missing_glyph(path)


@cache
def _missing_glyph(path: Path) -> bytes:
    return _glyph(path, UNENCODED)


def _glyph(path: Path, character: str) -> bytes:
    probe = Image.new("L", (3 * PROBE_SIZE, 3 * PROBE_SIZE))
    font = _font(path, PROBE_SIZE)
    ImageDraw.Draw(probe).text((PROBE_SIZE, 2 * PROBE_SIZE), character, 255, font, anchor="ls")
    return probe.tobytes()


@cache
def _fallback_paths() -> tuple[Path, ...]:
    """The fallback fonts of this machine; looked for once a process."""
    found: dict[str, Path] = {}
    for folder in SYSTEM_FOLDERS:
        for parent, _, names in os.walk(Path(folder).expanduser()):
            for name in set(names) & set(FALLBACK_FILES):
                found.setdefault(name, Path(parent) / name)
    return tuple(found[name] for name in FALLBACK_FILES if name in found and _loads(found[name]))


def _loads(path: Path) -> bool:
    try:
        _font(path, PROBE_SIZE)
    except OSError:  # not ours to repair: the sheet does without it
        return False
    return True
