"""One page being drawn: pictures, placeholders, labels and the title, each within its own box."""

import math
from collections.abc import Sequence
from itertools import groupby

from PIL import Image, ImageDraw

from shared.axis_headers import HeaderKind, HeaderPlace
from shared.job_spec import JobSpec, LabelPosition
from shared.schemas import Box
from shared.text_metrics import line_height, text_padding, title_font_size
from worker.pipeline.colors import BLACK, WHITE, Rgb, mix, muted_on, rgb, strongest_on
from worker.pipeline.typeface import Typeface, Weight, typeface
from worker.pipeline.typography import clean_text, common_size, fitted

PANEL_OPACITY = 0.62
"""Of the black behind an overlaid label: white text has a contrast of 6 even on a white picture."""
BADGE_OPACITY = 0.78
PLACEHOLDER_TEXT = "cannot be read"


class PageCanvas:
    """Draws on `image`, mode RGB. Boxes are in pixels of the page; texts come cleaned."""

    def __init__(self, size: tuple[int, int], spec: JobSpec, label_size: int) -> None:
        self._background = rgb(spec.background)
        self._font_size = spec.font_size
        self._has_band = spec.label_position is LabelPosition.BAND
        self._is_overlay = spec.label_position is LabelPosition.OVERLAY
        self._label_face = typeface(Weight.REGULAR, label_size)
        self.image = Image.new("RGB", size, self._background)

    def draw_title(self, text: str, box: Box) -> None:
        asked = title_font_size(self._font_size)
        room = text_room(box, asked)
        face = typeface(Weight.BOLD, common_size([text], Weight.BOLD, room, asked))
        top = text_padding(self._font_size) // 2
        ink = strongest_on(self._background)
        self._draw_lines(fitted(text, face, room), face, box, top, ink)

    def draw_header(self, text: str, box: Box) -> None:
        room = text_room(box, self._font_size)
        size = common_size([text], Weight.REGULAR, room, self._font_size)
        face = typeface(Weight.REGULAR, size)
        top = text_padding(self._font_size) // 2
        self._draw_lines(fitted(text, face, room), face, box, top, muted_on(self._background))

    def draw_headers(self, headers: Sequence[HeaderPlace]) -> None:
        """Values in ink, the names of the axes muted; one size for all of a kind."""
        padding = text_padding(self._font_size)
        for kind, group in groupby(headers, key=lambda header: header.kind):
            places = list(group)
            texts = [clean_text(place.text) for place in places]
            is_value = kind in (HeaderKind.ROW, HeaderKind.COL)
            weight = Weight.BOLD if is_value else Weight.REGULAR
            ink = (strongest_on if is_value else muted_on)(self._background)
            width, height = text_room(places[0].box, self._font_size)
            room = max(1, width - padding), height
            face = typeface(weight, common_size(texts, weight, room, self._font_size))
            for place, text in zip(places, texts, strict=True):
                lines = fitted(text, face, room)
                slack = place.box.height - len(lines) * line_height(face.size)
                # Rows are read beside the middle of their pictures, columns right above them.
                top = slack // 2 if kind is HeaderKind.ROW else max(0, slack - padding // 2)
                if kind is HeaderKind.COL_NAME:
                    top = 0
                is_beside = kind in (HeaderKind.ROW, HeaderKind.ROW_NAME)
                self._draw_lines(
                    lines, face, place.box, top, ink, indent=2 * padding if is_beside else None
                )

    def draw_gap(self, box: Box) -> None:
        """A faint field with a dash: here an image was never made, rather than lost."""
        ink = strongest_on(self._background)
        tile = Image.new("RGB", (box.width, box.height), mix(self._background, ink, 0.05))
        dash, x, y = max(2, box.width // 16), box.width // 2, box.height // 2
        stroke = mix(self._background, ink, 0.35)
        ImageDraw.Draw(tile).line((x - dash, y, x + dash, y), stroke, max(1, dash // 5))
        self.image.paste(tile, (box.x, box.y))

    def draw_badge(self, text: str, picture: Box, place: Box) -> None:
        """In the upper right corner of `picture`.

        It reaches beyond one that is smaller, but never out of `place`, the room for the picture.
        """
        face = typeface(Weight.BOLD, min(self._font_size, max(6, place.height // 3)))
        padding = text_padding(face.size)
        height = min(place.height, line_height(face.size))
        width = min(place.width, math.ceil(face.width(text)) + 2 * padding)
        inset = padding if picture.width > 4 * width and picture.height > 3 * height else 0
        slack = picture.width - width
        x = picture.x + (slack - inset if slack >= 0 else slack // 2)
        x = max(place.x, min(x, place.x + place.width - width))
        y = min(picture.y + inset, place.y + place.height - height)
        box = Box(x=x, y=y, width=width, height=height)
        self._darken(box, BADGE_OPACITY)
        self._draw_lines([text], face, box, (height - line_height(face.size)) // 2, WHITE)

    def draw_picture(self, picture: Image.Image, place: Box) -> Box:
        """Centre it in `place`, which it must not exceed; returns the pixels that it takes.

        With a label below it stands on the lower edge: near its own label, and the pictures of a
        row on one line whatever their proportions.
        """
        x = place.x + (place.width - picture.width) // 2
        slack = place.height - picture.height
        y = place.y + (slack if self._has_band else slack // 2)
        mask = picture.getchannel("A") if picture.mode == "RGBA" else None
        self.image.paste(picture, (x, y), mask)
        return Box(x=x, y=y, width=picture.width, height=picture.height)

    def draw_placeholder(self, place: Box) -> None:
        """A framed grey field with a cross and, where they have room, words."""
        ink = strongest_on(self._background)
        field = mix(self._background, ink, 0.07)
        tile = Image.new("RGB", (place.width, place.height), field)
        draw = ImageDraw.Draw(tile)
        stroke = mix(self._background, ink, 0.45)
        draw.rectangle((0, 0, place.width - 1, place.height - 1), outline=stroke)
        arm = min(place.width, place.height) // 12
        x, y = place.width // 2, place.height // 2 - arm
        for slope in (-1, 1):
            ends = (x - arm, y - slope * arm, x + arm, y + slope * arm)
            draw.line(ends, fill=stroke, width=max(1, arm // 4))
        self.image.paste(tile, (place.x, place.y))
        face = self._label_face
        height = line_height(face.size)
        top = y + arm + height // 2
        if face.width(PLACEHOLDER_TEXT) < place.width - 4 and top + height < place.height:
            self._draw_lines([PLACEHOLDER_TEXT], face, place, top, muted_on(field))

    def draw_label(self, text: str, band: Box, picture: Box) -> None:
        """Below the picture, or over its lower edge: `picture` has the pixels that it takes."""
        if not text:
            return
        lines = fitted(text, self._label_face, text_room(band, self._font_size))
        if self._is_overlay:
            panel = self._panel(lines, band, picture)
            self._darken(panel, PANEL_OPACITY)
            top, ink = text_padding(self._font_size) // 2, WHITE
            self._draw_lines(lines, self._label_face, panel, top, ink)
        else:
            top, ink = text_padding(self._font_size), muted_on(self._background)
            self._draw_lines(lines, self._label_face, band, top, ink)

    def _panel(self, lines: Sequence[str], band: Box, picture: Box) -> Box:
        """As wide as the picture, or as the text where that is wider, and no higher than needed.

        It ends where the picture ends, but leaves a low picture alone rather than cover it all.
        """
        face, padding = self._label_face, text_padding(self._font_size)
        text_width = math.ceil(max(face.width(line) for line in lines)) + padding
        width = min(band.width, max(text_width, picture.width))
        height = min(band.height, len(lines) * line_height(face.size) + padding)
        over = picture if picture.height >= 2 * height else band
        return Box(
            x=band.x + (band.width - width) // 2,
            y=over.y + over.height - height,
            width=width,
            height=height,
        )

    def _darken(self, box: Box, opacity: float) -> None:
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        under = self.image.crop(corners)
        shade = Image.new("RGB", under.size, BLACK)
        self.image.paste(Image.blend(under, shade, opacity), corners)

    def _draw_lines(
        self,
        lines: Sequence[str],
        face: Typeface,
        box: Box,
        top: int,
        ink: Rgb,
        *,
        indent: int | None = None,
    ) -> None:
        """Lines from `top` pixels below the box's upper edge; never a pixel outside it.

        They are centred, or end `indent` pixels before the right edge.
        """
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        tile = self.image.crop(corners)  # its edges clip what a glyph would draw outside
        height = line_height(face.size)
        first_baseline = top + (height - face.ascent - face.descent) // 2 + face.ascent
        for number, line in enumerate(lines):
            slack = box.width - face.width(line)
            x = slack / 2 if indent is None else slack - indent
            face.draw(tile, x, first_baseline + number * height, line, ink)
        self.image.paste(tile, corners)


def text_room(box: Box, font_size: int) -> tuple[int, int]:
    """Width and height that a text may take within its box, whose padding follows `font_size`."""
    return text_width(box.width, font_size), max(1, box.height - text_padding(font_size))


def text_width(box_width: int, font_size: int) -> int:
    return max(1, box_width - text_padding(font_size))
