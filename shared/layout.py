"""Where everything stands on a sheet: pure arithmetic, so that the API can answer before any work.

No text is measured here. A caption band is as high as the spec alone lets it become, or has room
for the lines that whoever has measured the labels asks for; rendering fits the labels into it.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn, Self

from shared.axes import AxisPlan
from shared.axis_headers import AxisHeaders, HeaderPlace, header_sizes, place_headers
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import JobSpec, LabelPosition, Overflow, SheetFormat
from shared.schemas import Box, ManifestPage
from shared.text_metrics import guessed_width, line_height, text_padding, title_font_size

MAX_PAGE_SIDE = {
    SheetFormat.JPG: 65500,
    SheetFormat.WEBP: 16383,
    SheetFormat.AVIF: 32768,
    SheetFormat.PDF: 65500,
}
"""Pixels. JPEG itself could do 65535; libjpeg, which writes it (into a PDF, too), stops at 65500.
AVIF can be written with 65536, but libavif, and with it every browser, reads no more than 32768."""

MAX_PAGE_PIXELS = {SheetFormat.WEBP: 48_000_000, SheetFormat.AVIF: 16_000_000}
"""Whatever the settings allow: with the page their encoders take 9 and 26 bytes a pixel, and a
compose worker shall stay below 600 MB."""

SMALLEST_CELL_SIDE = 16
MAX_TITLE_LINES = 3
HEADER_LINES = 2
"""Of smart labels: the parameters that all images have in common, and their prompt."""
SMART_LABEL_LINES = 3
"""Two of parameters, and what is left of a prompt."""


def caption_lines(spec: JobSpec) -> int:
    """Lines of label a band holds at full font size: one a column, and one more for wrapping."""
    if spec.has_smart_labels:
        return SMART_LABEL_LINES
    return max(2, len(spec.labels) + 1)


@dataclass(frozen=True, slots=True)
class CellPlace:
    """One image's place; boxes are in pixels of its page."""

    index: int
    """Of the image, or of the stack of images, that it shows."""
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
class GapPlace:
    page: int
    box: Box


@dataclass(frozen=True, slots=True)
class SheetLayout:
    rows: int
    """Of a full page."""
    cols: int
    pages: tuple[ManifestPage, ...]
    cells: tuple[CellPlace, ...]
    """Page by page and row by row; without axes that is the order of the images."""
    title_box: Box | None
    """The same on every page."""
    header_box: Box | None = None
    """Below the title, the same on every page; only smart labels have one."""
    headers: tuple[HeaderPlace, ...] = ()
    """Of the axes."""
    gaps: tuple[GapPlace, ...] = ()
    """Cells of an X/Y plot that have no image."""


def plan_sheet(
    spec: JobSpec,
    count: int,
    *,
    max_pixels: int,
    axes: AxisPlan | None = None,
    label_lines: int | None = None,
) -> SheetLayout:
    """Lay out `count` images row by row on as many pages as `spec` lets them take.

    Rows and columns that are not given follow from the count, and with `Overflow.PAGES` from what
    a page of the format may have; with both given, `spec.overflow` says what becomes of images
    past the last cell. A single page keeps the rows that were asked for; the last of several pages
    has only those that it needs.

    Args:
        max_pixels: Most pixels of one page, whatever its format.
        axes: Of these `count` images; it decides rows, columns and pages instead of the spec.
        label_lines: Lines for which a band below the pictures has room, up to `caption_lines`; None
            for as many as these. It makes cells and pages lower; rows, columns, the number of
            pages and what is refused never depend on it.

    Raises:
        GridscribeError: `images_do_not_fit` or `sheet_too_large`, saying what would fit.
    """
    if count < 1:
        raise ValueError("a sheet needs at least one image")
    geometry = _Geometry.of(spec, axes)
    if axes is not None:
        return _plan_plot(spec, geometry, axes, max_pixels, label_lines)
    rows, cols = _grid(spec, count, geometry, max_pixels)
    _check_size(spec, geometry, rows, cols, max_pixels)
    geometry = geometry.with_band(spec, label_lines)
    capacity = rows * cols
    page_count = math.ceil(count / capacity)
    pages = []
    for page in range(1, page_count + 1):
        is_shortened = page == page_count > 1
        used_rows = math.ceil((count - (page - 1) * capacity) / cols) if is_shortened else rows
        width, height = geometry.page_size(used_rows, cols)
        pages.append(ManifestPage(page=page, width=width, height=height))
    cells = []
    for index in range(count):
        page, in_page = divmod(index, capacity)
        row, col = divmod(in_page, cols)
        cells.append(geometry.place(index, page + 1, row, col, cols))
    return SheetLayout(
        rows, cols, tuple(pages), tuple(cells), geometry.title_box(cols), geometry.header_box(cols)
    )


def _plan_plot(
    spec: JobSpec,
    geometry: "_Geometry",
    axes: AxisPlan,
    max_pixels: int,
    label_lines: int | None,
) -> SheetLayout:
    rows, cols = len(axes.rows.values), len(axes.cols.values)
    is_grid = None not in (axes.rows.column, axes.cols.column)  # else a row just ends
    _check_size(spec, geometry, rows, cols, max_pixels, axes)
    geometry = geometry.with_band(spec, label_lines)
    pages: list[ManifestPage] = []
    cells: list[CellPlace] = []
    headers: list[HeaderPlace] = []
    gaps: list[GapPlace] = []
    for page, plan in enumerate(axes.pages, start=1):
        width, height = geometry.page_size(len(plan.rows), cols)
        pages.append(ManifestPage(page=page, width=width, height=height))
        cells += (geometry.place(cell.item, page, cell.row, cell.col, cols) for cell in plan.cells)
        taken = {(cell.row, cell.col) for cell in plan.cells}
        grid = [
            [geometry.place(-1, page, row, col, cols) for col in range(cols)]
            for row in range(len(plan.rows))
        ]
        gaps += (
            GapPlace(page, place.picture)
            for row in grid
            for place in row
            if is_grid and (place.row, place.col) not in taken
        )
        beside = [[place.picture for place in row] for row in grid]
        headers += place_headers(axes, page, plan.rows, beside, geometry.headers, geometry.margin)
    return SheetLayout(
        rows,
        cols,
        tuple(pages),
        tuple(cells),
        geometry.title_box(cols),
        geometry.header_box(cols),
        tuple(headers),
        tuple(gaps),
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
    headers: AxisHeaders
    """The room that the axes take to the left of the cells and above them."""

    @classmethod
    def of(cls, spec: JobSpec, axes: AxisPlan | None) -> Self:
        width, height = spec.cell_size
        wanted = _text_height(spec, caption_lines(spec))
        match spec.label_position:
            case LabelPosition.NONE:
                band_height = 0
            case LabelPosition.OVERLAY:
                # Half of the picture stays free, unless not even one line fits into the other.
                band_height = min(wanted, max(height // 2, _text_height(spec, 1)), height)
            case LabelPosition.BAND:
                band_height = wanted
        return cls(
            width=width,
            picture_height=height,
            band_height=band_height,
            band_overlaps=spec.label_position is LabelPosition.OVERLAY,
            margin=spec.margin,
            title=(spec.title or "").strip(),
            header_height=_header_height(spec),
            font_size=spec.font_size,
            headers=header_sizes(spec, axes),
        )

    def with_band(self, spec: JobSpec, lines: int | None) -> Self:
        """The same with bands for so many lines, where they are below the pictures."""
        if lines is None or self.band_overlaps or not self.band_height:
            return self
        return replace(self, band_height=min(self.band_height, _text_height(spec, max(1, lines))))

    @property
    def cell_height(self) -> int:
        return self.picture_height + (0 if self.band_overlaps else self.band_height)

    def page_width(self, cols: int) -> int:
        return self.margin + self.headers.width + cols * (self.width + self.margin)

    def page_size(self, rows: int, cols: int) -> tuple[int, int]:
        cells = rows * (self.cell_height + self.margin)
        return self.page_width(cols), self._top(cols) + cells

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

    def _top(self, cols: int) -> int:
        """Where the first row begins."""
        return self.margin + self._title_height(cols) + self.header_height + self.headers.height

    def _title_height(self, cols: int) -> int:
        if not self.title:
            return 0
        size = title_font_size(self.font_size)
        room = self.page_width(cols) - 2 * self.margin
        lines = math.ceil(guessed_width(self.title, size) / room)
        return min(lines, MAX_TITLE_LINES) * line_height(size) + 2 * text_padding(size)

    def place(self, index: int, page: int, row: int, col: int, cols: int) -> CellPlace:
        x = self.margin + self.headers.width + col * (self.width + self.margin)
        y = self._top(cols) + row * (self.cell_height + self.margin)
        band = None
        if self.band_height:
            band_y = y + self.cell_height - self.band_height
            band = Box(x=x, y=band_y, width=self.width, height=self.band_height)
        return CellPlace(
            index=index,
            page=page,
            row=row,
            col=col,
            cell=Box(x=x, y=y, width=self.width, height=self.cell_height),
            picture=Box(x=x, y=y, width=self.width, height=self.picture_height),
            band=band,
        )


def _text_height(spec: JobSpec, lines: int) -> int:
    """Of a box for so many lines at the spec's own font size."""
    return lines * line_height(spec.font_size) + 2 * text_padding(spec.font_size)


def _header_height(spec: JobSpec) -> int:
    if not spec.has_smart_labels:
        return 0
    return _text_height(spec, HEADER_LINES)


def _grid(spec: JobSpec, count: int, geometry: _Geometry, max_pixels: int) -> tuple[int, int]:
    """Rows and columns of a page."""
    if spec.rows is None or spec.cols is None:

        def fits(count: int) -> bool:
            return _fits(spec, geometry, *_one_page(spec, count, geometry), max_pixels)

        if spec.overflow is Overflow.PAGES and not fits(count):
            count = _largest(1, count - 1, fits) or count
        return _one_page(spec, count, geometry)
    rows, cols = spec.rows, spec.cols
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


def _one_page(spec: JobSpec, count: int, geometry: _Geometry) -> tuple[int, int]:
    """Rows and columns for all images, where at most one of the two is given."""
    if spec.rows is not None:
        return spec.rows, math.ceil(count / spec.rows)
    cols = spec.cols or min(
        range(1, count + 1), key=lambda cols: _unsightliness(geometry, count, cols)
    )
    return math.ceil(count / cols), cols


def _unsightliness(geometry: _Geometry, count: int, cols: int) -> float:
    """How far a page is from a square, plus the empty part of its last row."""
    rows = math.ceil(count / cols)
    width, height = geometry.page_size(rows, cols)
    return abs(math.log(width / height)) + (rows * cols - count) / cols


def _fits(spec: JobSpec, geometry: _Geometry, rows: int, cols: int, max_pixels: int) -> bool:
    width, height = geometry.page_size(rows, cols)
    max_side = MAX_PAGE_SIDE.get(spec.format, max(width, height))
    max_pixels = min(max_pixels, MAX_PAGE_PIXELS.get(spec.format, max_pixels))
    return width * height <= max_pixels and max(width, height) <= max_side


def _check_size(
    spec: JobSpec,
    geometry: _Geometry,
    rows: int,
    cols: int,
    max_pixels: int,
    axes: AxisPlan | None = None,
) -> None:
    def fits(geometry: _Geometry, rows: int, cols: int) -> bool:
        return _fits(spec, geometry, rows, cols, max_pixels)

    def scaled(width: int) -> tuple[int, int]:
        asked_width, asked_height = spec.cell_size
        return width, max(SMALLEST_CELL_SIDE, asked_height * width // asked_width)

    def fits_scaled(width: int) -> bool:
        smaller = spec.model_copy(update={"cell_size": scaled(width)})
        return fits(_Geometry.of(smaller, axes), rows, cols)

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
    limits = f"{min(max_pixels, MAX_PAGE_PIXELS.get(spec.format, max_pixels)):,} pixels"
    max_side = MAX_PAGE_SIDE.get(spec.format)
    if max_side is not None:
        limits += f" or {max_side:,} a side ({spec.format.value})"
    advice = []
    cell_width = _largest(SMALLEST_CELL_SIDE, spec.cell_size[0] - 1, fits_scaled)
    if cell_width is not None:
        advice.append("cell_size up to {} x {}".format(*scaled(cell_width)))
    fitting_rows = _largest(1, rows - 1, lambda rows: fits(geometry, rows, cols))
    fitting_cols = _largest(1, cols - 1, lambda cols: fits(geometry, 1, cols))
    if axes is not None:
        advice.append("axes with fewer values")
    elif fitting_rows is not None:
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
