"""Colours that can be told apart, by the contrast ratio of WCAG 2.2 (w3.org/TR/WCAG22)."""

from PIL import ImageColor

Rgb = tuple[int, int, int]

BLACK: Rgb = (0, 0, 0)
WHITE: Rgb = (255, 255, 255)

COMFORTABLE_CONTRAST = 7.0
"""WCAG's level AAA; black or white reaches at least 4.5, level AA, on any background."""


def rgb(color: str) -> Rgb:
    red, green, blue = ImageColor.getrgb(color)[:3]
    return red, green, blue


def mix(color: Rgb, other: Rgb, share: float) -> Rgb:
    """`color` with `share` (0 to 1) of it replaced by `other`."""
    red, green, blue = (
        round(one + (two - one) * share) for one, two in zip(color, other, strict=True)
    )
    return red, green, blue


def contrast_ratio(color: Rgb, other: Rgb) -> float:
    """From 1, the same, to 21, black on white."""
    darker, lighter = sorted((_relative_luminance(color), _relative_luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def strongest_on(background: Rgb) -> Rgb:
    """Black or white, whichever stands out more."""
    return max(BLACK, WHITE, key=lambda color: contrast_ratio(color, background))


def muted_on(background: Rgb) -> Rgb:
    """A softer text colour than black or white where the background leaves room for one."""
    strongest = strongest_on(background)
    muted = mix(strongest, background, 0.22)
    return muted if contrast_ratio(muted, background) >= COMFORTABLE_CONTRAST else strongest


def _relative_luminance(color: Rgb) -> float:
    linear = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in color)
    )
    return sum(
        weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )
