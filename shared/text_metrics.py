"""Lengths that follow from a font's size alone, in pixels."""

import math

LINE_SPACING = 1.35
"""Line height over font size, just what Noto Sans needs from its ascent to its descent."""

TYPICAL_CHARACTER = 0.58
"""Mean width of a character of bold Latin text over its font size; it only guesses line breaks."""


def line_height(font_size: int) -> int:
    return math.ceil(font_size * LINE_SPACING)


def text_padding(font_size: int) -> int:
    """Pixels between a text and the edge of its box."""
    return max(2, round(font_size * 0.4))


def guessed_width(text: str, font_size: int) -> int:
    return math.ceil(len(text) * font_size * TYPICAL_CHARACTER)


def title_font_size(font_size: int) -> int:
    return round(font_size * 1.5)
