"""Lines of text in as many fonts as they need, from left to right and from right to left."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import groupby

import regex
from PIL import Image, ImageDraw, ImageFont, features

from worker.pipeline.bidi_order import (
    RIGHT_TO_LEFT_MARK,
    embedding_levels,
    in_visual_order,
    is_right_to_left,
)
from worker.pipeline.colors import Rgb
from worker.pipeline.font_files import (
    SHIPPED_FOLDER,
    STRIKES,
    FontFile,
    emoji_font,
    fallback_fonts,
    has_glyph,
)
from worker.pipeline.graphemes import clusters, is_emoji

EMOJI = -1
"""Stands for the colour emoji font among the indices of fonts."""

_JAPANESE_OR_KOREAN = regex.compile(r"[\p{Hiragana}\p{Katakana}\p{Hangul}]")


class Weight(StrEnum):
    """The value is the shipped font's file."""

    REGULAR = "NotoSans-Regular.ttf"
    BOLD = "NotoSans-Bold.ttf"


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring characters of one font and one direction, in reading order."""

    text: str
    font: int
    level: int
    """Of embedding: odd ones run to the left."""

    def shaped(self) -> tuple[str, str | None]:
        """Text and direction as Pillow takes them. A Pillow without Raqm knows no direction: there
        the characters are turned about one by one, and Arabic letters stay unjoined.
        """
        is_leftward = self.level % 2 == 1
        if features.check("raqm"):
            return self.text, "rtl" if is_leftward else "ltr"
        return ("".join(clusters(self.text)[::-1]) if is_leftward else self.text), None


class Typeface:
    """One weight at one size in pixels, with a fallback for every script that can be had."""

    def __init__(self, weight: Weight, size: int) -> None:
        self.size = size
        fallbacks = fallback_fonts()
        if weight is Weight.BOLD:
            fallbacks = tuple(file.bold() for file in fallbacks)
        self._files = (FontFile(SHIPPED_FOLDER / weight), *fallbacks)
        self._chinese = tuple(file.chinese() for file in self._files)
        self._emoji = emoji_font()
        self.ascent, self.descent = self._files[0].sized(size).getmetrics()
        self._width_of_word = lru_cache(maxsize=4096)(self._measured)

    def width(self, text: str) -> float:
        """Of one line, in pixels."""
        return self._width_of_word(text) if len(text) < 64 else self._measured(text)

    def draw(self, image: Image.Image, x: float, baseline: int, text: str, fill: Rgb) -> None:
        """One line of text onto `image`, mode RGB, from `x` to the right."""
        draw, files = ImageDraw.Draw(image), self._files_for(text)
        for run in in_visual_order(self._runs(text)):
            if run.font == EMOJI:
                x += self._draw_emoji(image, x, baseline, run.text)
                continue
            font, (shaped, direction) = files[run.font].sized(self.size), run.shaped()
            draw.text((x, baseline), shaped, fill=fill, font=font, anchor="ls", direction=direction)
            x += font.getlength(shaped, direction=direction)

    def _measured(self, text: str) -> float:
        files = self._files_for(text)
        width = 0.0
        for run in self._runs(text):
            if run.font == EMOJI:
                width += self._emoji_width(run.text)
            else:
                shaped, direction = run.shaped()
                width += files[run.font].sized(self.size).getlength(shaped, direction=direction)
        return width

    def _files_for(self, text: str) -> tuple[FontFile, ...]:
        """Ideographs are drawn the Chinese way unless the line is Japanese or Korean."""
        return self._files if _JAPANESE_OR_KOREAN.search(text) else self._chinese

    def _runs(self, text: str) -> list[Run]:
        """`text` cut where font or direction change, in the order in which it is read."""
        if text.isascii():
            return [Run(text, 0, 0)] if text else []
        right_to_left = is_right_to_left(text)
        pieces = clusters(text.removeprefix(RIGHT_TO_LEFT_MARK))
        levels = embedding_levels(pieces, right_to_left=right_to_left)
        fonts = self._fonts(pieces)
        return [
            Run("".join(piece for piece, *_ in group), font, level)
            for (font, level), group in groupby(
                zip(pieces, fonts, levels, strict=True), key=lambda it: (it[1], it[2])
            )
        ]

    def _fonts(self, pieces: list[str]) -> Iterator[int]:
        """Of each cluster.

        What belongs to no script (spaces, punctuation) stays in the font of what precedes it, so
        that a sentence is shaped as one.
        """
        current = 0
        for position, piece in enumerate(pieces):
            if self._emoji and is_emoji(piece):
                yield EMOJI
                continue
            character = piece[0]
            stays = not character.isalnum() and position
            if not (stays and has_glyph(self._files[current], character)):
                current = self._first_with(character)
            yield current

    def _first_with(self, character: str) -> int:
        """Index of the first font that has it; where none does, the shipped one draws its box."""
        return next((i for i, file in enumerate(self._files) if has_glyph(file, character)), 0)

    def _emoji_width(self, text: str) -> float:
        font, scale = self._strike()
        return font.getlength(text) * scale

    def _draw_emoji(self, image: Image.Image, x: float, baseline: int, text: str) -> float:
        """Bitmaps of the font's one size, scaled to this one; returns their width."""
        font, scale = self._strike()
        ascent, descent = font.getmetrics()
        width, height = max(1, round(font.getlength(text))), ascent + descent
        tile = Image.new("RGBA", (width, height))
        ImageDraw.Draw(tile).text((0, ascent), text, font=font, anchor="ls", embedded_color=True)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        scaled = tile.resize(size, Image.Resampling.BICUBIC)
        image.paste(scaled, (round(x), baseline - round(ascent * scale)), scaled)
        return width * scale

    def _strike(self) -> tuple[ImageFont.FreeTypeFont, float]:
        """The emoji font at its own size, and the scale from there to this size."""
        if self._emoji is None:
            raise ValueError("there is no emoji font to draw with")
        strike = STRIKES[self._emoji.path.name]
        return self._emoji.sized(strike), self.size / strike


@lru_cache(maxsize=64)
def typeface(weight: Weight, size: int) -> Typeface:
    return Typeface(weight, size)
