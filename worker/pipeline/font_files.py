"""Which font files there are: the shipped ones, and fallbacks of the system for other scripts."""

import os
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from shared.settings import get_settings

SHIPPED_FOLDER = Path(__file__).parent / "fonts"

SYSTEM_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
)
FALLBACK_NAMES = (
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
"""In order of preference."""
SUFFIXES = (".ttf", ".otf", ".ttc")

STRIKES = {"NotoColorEmoji.ttf": 109, "Apple Color Emoji.ttc": 160}
"""Colour emoji fonts in order of preference, and the one size in pixels of their bitmaps."""

CHINESE_FACES = {"NotoSansCJK-Regular.ttc": 2, "NotoSansCJK-Bold.ttc": 2}
"""Where a collection's first face is Japanese, the one that draws ideographs the Chinese way."""

PROBE_SIZE = 16
UNENCODED = "\U0010ffff"
"""A noncharacter: every font answers with its box for missing glyphs."""


class FontFile(NamedTuple):
    path: Path
    face: int = 0
    """Of a collection."""

    def sized(self, size: int) -> ImageFont.FreeTypeFont:
        return _sized(self, size)

    def bold(self) -> "FontFile":
        """Its bold sibling, where there is one."""
        sibling = self.path.with_name(self.path.name.replace("-Regular", "-Bold"))
        return self._replace(path=sibling) if sibling.exists() else self

    def chinese(self) -> "FontFile":
        return self._replace(face=CHINESE_FACES.get(self.path.name, self.face))


@cache
def fallback_fonts() -> tuple[FontFile, ...]:
    """The fonts of this machine for what the shipped one lacks; looked for once a process.

    Of the folders that the settings name, every font counts, and before the system's.
    """
    own: list[Path] = []
    for folder in get_settings().font_dirs:
        fonts = [path for path in _files(folder) if path.name not in STRIKES]
        own += sorted(fonts, key=lambda path: ("-Regular" not in path.name, path))
    known = {path.name: path for path in reversed(_system_files()) if path.name in FALLBACK_NAMES}
    paths = [*own, *(known[name] for name in FALLBACK_NAMES if name in known)]
    return tuple(file for path in paths if _loads(file := FontFile(path), PROBE_SIZE))


@cache
def emoji_font() -> FontFile | None:
    """A colour emoji font, if this machine has one."""
    files = [path for folder in get_settings().font_dirs for path in _files(folder)]
    files += _system_files()
    for name, strike in STRIKES.items():
        for path in files:
            if path.name == name and _loads(FontFile(path), strike):
                return FontFile(path)
    return None


@lru_cache(maxsize=100_000)
def has_glyph(file: FontFile, character: str) -> bool:
    """Whether the font has a glyph of its own for it; Pillow tells no other way than drawing it."""
    if unicodedata.category(character) == "Zs":
        return True
    return _glyph(file, character) != _missing_glyph(file)


@cache
def _missing_glyph(file: FontFile) -> bytes:
    return _glyph(file, UNENCODED)


def _glyph(file: FontFile, character: str) -> bytes:
    probe = Image.new("L", (3 * PROBE_SIZE, 3 * PROBE_SIZE))
    font = file.sized(PROBE_SIZE)
    ImageDraw.Draw(probe).text((PROBE_SIZE, 2 * PROBE_SIZE), character, 255, font, anchor="ls")
    return probe.tobytes()


@lru_cache(maxsize=256)
def _sized(file: FontFile, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file.path), size, index=file.face)


@cache
def _system_files() -> list[Path]:
    return [path for folder in SYSTEM_FOLDERS for path in _files(Path(folder).expanduser())]


def _files(folder: Path) -> list[Path]:
    return [
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES)
    ]


def _loads(file: FontFile, size: int) -> bool:
    try:
        file.sized(size)
    except OSError:  # not ours to repair: the sheet does without it
        return False
    return True
