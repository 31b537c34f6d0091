"""Where everything stands on a sheet: pure arithmetic, so that the API can answer before any work.

No text is measured here. A caption band is as high as the spec alone makes it, and rendering fits
the labels into it.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Self

from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.schemas import Box, JobSpec, LabelPosition, ManifestPage, Overflow, SheetFormat

MAX_PAGE_SIDE = {
    SheetFormat.JPG: 65500,
    SheetFormat.WEBP: 16383,
    SheetFormat.AVIF: 32768,
    SheetFormat.PDF: 65500,
}
"""Pixels. JPEG itself could do 65535; libjpeg, which writes it (into a PDF, too), stops at 65500.
AVIF can be written with 65536, but libavif, and with it every browser, reads no more than 32768."""

SMALLEST_CELL_SIDE = 16
LINE_SPACING = 1.35
"""Line height over font size, just what Noto Sans needs from its ascent to its descent."""
MAX_TITLE_LINES = 3
HEADER_LINES = 2
"""Of smart labels: the parameters that all images have in common, and their prompt."""
SMART_LABEL_LINES = 3
"""Two of parameters, and what is left of a prompt."""
TYPICAL_CHARACTER = 0.58
"""Mean width of a character of bold Latin text over its font size; it only guesses title lines."""


def line_height(font_size: int) -> int:
    return math.ceil(font_size * LINE_SPACING)


def text_padding(font_size: int) -> int:
    """Pixels between a text and the edge of its box."""
    return max(2, round(font_size * 0.4))


def title_font_size(font_size: int) -> int:
    return round(font_size * 1.5)


def caption_lines(spec: JobSpec) -> int:
    """Lines of label a band holds at full font size: one a column, and one more for wrapping."""
    if spec.has_smart_labels:
        return SMART_LABEL_LINES
    return max(2, len(spec.labels) + 1)


@dataclass(frozen=True, slots=True)
class CellPlace:
    """One image's place; boxes are in pixels of its page."""

    index: int
    page: int
    """From 1."""
    row: int
    """From 0 at the top, as `col` is from the left."""
    col: int
    cell: Box
    """Picture and band together."""
    picture: Box
    """The room for the picture; one that keeps its proportions may leave some of it empty."""
    band: Box | None
    """The label's area: below the picture, over its lower edge (overlay), or None."""


@dataclass(frozen=True, slots=True)
class SheetLayout:
    rows: int
    """Of a full page."""
    cols: int
    pages: tuple[ManifestPage, ...]
    cells: tuple[CellPlace, ...]
    """In the order of the images."""
    title_box: Box | None
    """The same on every page."""
    header_box: Box | None = None
    """Below the title, the same on every page; only smart labels have one."""


def plan_sheet(spec: JobSpec, count: int, *, max_pixels: int) -> SheetLayout:
    """Lay out `count` images row by row on as many pages as `spec` lets them take.

    Rows and columns that are not given follow from the count; with both given, `spec.overflow`
    says what becomes of images past the last cell. A single page keeps the rows that were asked
    for; the last of several pages has only those that it needs.

    Args:
        max_pixels: Most pixels of one page, whatever its format.

    Raises:
        GridscribeError: `images_do_not_fit` or `sheet_too_large`, saying what would fit.
    """
    if count < 1:
        raise ValueError("a sheet needs at least one image")
    geometry = _Geometry.of(spec)
    rows, cols = _grid(spec, count, geometry)
    _check_size(spec, geometry, rows, cols, max_pixels)
    capacity = rows * cols
    page_count = math.ceil(count / capacity)
    pages = []
    for page in range(1, page_count + 1):
        is_shortened = page == page_count > 1
        used_rows = math.ceil((count - (page - 1) * capacity) / cols) if is_shortened else rows
        width, height = geometry.page_size(used_rows, cols)
        pages.append(ManifestPage(page=page, width=width, height=height))
    cells = tuple(geometry.place(index, rows, cols) for index in range(count))
    return SheetLayout(
        rows, cols, tuple(pages), cells, geometry.title_box(cols), geometry.header_box(cols)
    )


@dataclass(frozen=True, slots=True)
class _Geometry:
    """All lengths in pixels."""

    width: int
    picture_height: int
    band_height: int
    band_overlaps: bool
    margin: int
    title: str
    header_height: int
    font_size: int

    @classmethod
    def of(cls, spec: JobSpec) -> Self:
        width, height = spec.cell_size
        lines = caption_lines(spec) * line_height(spec.font_size)
        padding = text_padding(spec.font_size)
        match spec.label_position:
            case LabelPosition.NONE:
                band_height = 0
            case LabelPosition.OVERLAY:
                # Half of the picture stays free, unless not even one line fits into the other.
                one_line = line_height(spec.font_size) + 2 * padding
                band_height = min(lines + 2 * padding, max(height // 2, one_line), height)
            case LabelPosition.BAND:
                band_height = lines + 2 * padding
        return cls(
            width=width,
            picture_height=height,
            band_height=band_height,
            band_overlaps=spec.label_position is LabelPosition.OVERLAY,
            margin=spec.margin,
            title=(spec.title or "").strip(),
            header_height=_header_height(spec),
            font_size=spec.font_size,
        )

    @property
    def cell_height(self) -> int:
        return self.picture_height + (0 if self.band_overlaps else self.band_height)

    def page_width(self, cols: int) -> int:
        return self.margin + cols * (self.width + self.margin)

    def page_size(self, rows: int, cols: int) -> tuple[int, int]:
        cells = rows * (self.cell_height + self.margin)
        return self.page_width(cols), self.margin + self._head_height(cols) + cells

    def title_box(self, cols: int) -> Box | None:
        if not self.title:
            return None
        width = self.page_width(cols) - 2 * self.margin
        return Box(x=self.margin, y=self.margin, width=width, height=self._title_height(cols))

    def header_box(self, cols: int) -> Box | None:
        if not self.header_height:
            return None
        return Box(
            x=self.margin,
            y=self.margin + self._title_height(cols),
            width=self.page_width(cols) - 2 * self.margin,
            height=self.header_height,
        )

    def _head_height(self, cols: int) -> int:
        """Of title and header together."""
        return self._title_height(cols) + self.header_height

    def _title_height(self, cols: int) -> int:
        if not self.title:
            return 0
        size = title_font_size(self.font_size)
        room = self.page_width(cols) - 2 * self.margin
        lines = math.ceil(len(self.title) * size * TYPICAL_CHARACTER / room)
        return min(lines, MAX_TITLE_LINES) * line_height(size) + 2 * text_padding(size)

    def place(self, index: int, rows: int, cols: int) -> CellPlace:
        page, in_page = divmod(index, rows * cols)
        row, col = divmod(in_page, cols)
        x = self.margin + col * (self.width + self.margin)
        y = self.margin + self._head_height(cols) + row * (self.cell_height + self.margin)
        band = None
        if self.band_height:
            band_y = y + self.cell_height - self.band_height
            band = Box(x=x, y=band_y, width=self.width, height=self.band_height)
        return CellPlace(
            index=index,
            page=page + 1,
            row=row,
            col=col,
            cell=Box(x=x, y=y, width=self.width, height=self.cell_height),
            picture=Box(x=x, y=y, width=self.width, height=self.picture_height),
            band=band,
        )


def _header_height(spec: JobSpec) -> int:
    if not spec.has_smart_labels:
        return 0
    return HEADER_LINES * line_height(spec.font_size) + 2 * text_padding(spec.font_size)


def _grid(spec: JobSpec, count: int, geometry: _Geometry) -> tuple[int, int]:
    """Rows and columns of a page."""
    match spec.rows, spec.cols:
        case None, None:
            cols = min(range(1, count + 1), key=lambda cols: _unsightliness(geometry, count, cols))
            return math.ceil(count / cols), cols
        case int(rows), None:
            return rows, math.ceil(count / rows)
        case None, int(cols):
            return math.ceil(count / cols), cols
        case int(rows), int(cols):
            pass
    if count > rows * cols and spec.overflow is Overflow.ERROR:
        detail = (
            f"{count} images do not fit into {rows} x {cols} = {rows * cols} cells; "
            "ask for more rows or columns, or for overflow `pages` or `grow`"
        )
        raise GridscribeError(
            ErrorCode.IMAGES_DO_NOT_FIT, detail, errors=[ErrorLocation("spec.overflow", detail)]
        )
    if spec.overflow is Overflow.GROW:
        rows = max(rows, math.ceil(count / cols))
    return rows, cols


def _unsightliness(geometry: _Geometry, count: int, cols: int) -> float:
    """How far a page is from a square, plus the empty part of its last row."""
    rows = math.ceil(count / cols)
    width, height = geometry.page_size(rows, cols)
    return abs(math.log(width / height)) + (rows * cols - count) / cols


def _check_size(spec: JobSpec, geometry: _Geometry, rows: int, cols: int, max_pixels: int) -> None:
    max_side = MAX_PAGE_SIDE.get(spec.format)

    def fits(geometry: _Geometry, rows: int, cols: int) -> bool:
        width, height = geometry.page_size(rows, cols)
        return width * height <= max_pixels and (max_side is None or max(width, height) <= max_side)

    def scaled(width: int) -> tuple[int, int]:
        asked_width, asked_height = spec.cell_size
        return width, max(SMALLEST_CELL_SIDE, asked_height * width // asked_width)

    def fits_scaled(width: int) -> bool:
        smaller = spec.model_copy(update={"cell_size": scaled(width)})
        return fits(_Geometry.of(smaller), rows, cols)

    resize = spec.preprocessing.resize
    if resize is not None and math.prod(resize) > max_pixels:
        _refuse(
            "spec.preprocessing.resize",
            f"pictures of {resize[0]} x {resize[1]} pixels are larger than the {max_pixels:,} "
            "pixels of a whole page; ask for smaller ones",
        )
    if fits(geometry, rows, cols):
        return
    width, height = geometry.page_size(rows, cols)
    limits = f"{max_pixels:,} pixels"
    if max_side is not None:
        limits += f" or {max_side:,} a side ({spec.format.value})"
    advice = []
    cell_width = _largest(SMALLEST_CELL_SIDE, spec.cell_size[0] - 1, fits_scaled)
    if cell_width is not None:
        advice.append("cell_size up to {} x {}".format(*scaled(cell_width)))
    fitting_rows = _largest(1, rows - 1, lambda rows: fits(geometry, rows, cols))
    fitting_cols = _largest(1, cols - 1, lambda cols: fits(geometry, 1, cols))
    if fitting_rows is not None:
        advice.append(f"at most {fitting_rows} rows of {cols} a page")
    elif fitting_cols is not None:
        advice.append(f"at most {fitting_cols} columns")
    _refuse(
        "spec",
        f"a page of {rows} x {cols} cells would be {width:,} x {height:,} pixels, over the limit "
        f"of {limits}; what would fit: {', or '.join(advice) or 'a smaller margin or font_size'}",
    )


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The largest of `low` to `high` that fits, if any; all below one that fits do as well."""
    count = bisect_left(range(low, high + 1), True, key=lambda size: not fits(size))
    return low + count - 1 if count else None


def _refuse(location: str, detail: str) -> NoReturn:
    raise GridscribeError(
        ErrorCode.SHEET_TOO_LARGE, detail, errors=[ErrorLocation(location, detail)]
    )
