"""Where the headers of an X/Y plot stand: values beside rows and above columns, and their names.

No text is measured: sizes are guessed from the number of characters, and rendering fits the values
into them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.axes import AxisPlan
from shared.job_spec import JobSpec
from shared.schemas import Box
from shared.text_metrics import guessed_width, line_height, text_padding

MAX_VALUE_LINES = 3
"""Of a column's header; a row's has the height of its picture."""
ROW_HEADER_WIDTHS = (3, 8)
"""Least and most, in font sizes; longer values are wrapped."""


class HeaderKind(StrEnum):
    ROW = "row"
    COL = "col"
    ROW_NAME = "row_name"
    COL_NAME = "col_name"


@dataclass(frozen=True, slots=True)
class HeaderPlace:
    page: int
    kind: HeaderKind
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class AxisHeaders:
    """Room in pixels; all 0 without axes."""

    width: int = 0
    """Left of the cells, the space to them included, as below."""
    name_height: int = 0
    values_height: int = 0

    @property
    def height(self) -> int:
        return self.name_height + self.values_height


def header_sizes(spec: JobSpec, axes: AxisPlan | None) -> AxisHeaders:
    if axes is None:
        return AxisHeaders()
    line, padding = line_height(spec.font_size), text_padding(spec.font_size)
    width = values_height = 0
    if axes.rows.column:
        texts = (axes.rows.column, *axes.rows.values)
        least, most = (size * spec.font_size for size in ROW_HEADER_WIDTHS)
        longest = max(guessed_width(text, spec.font_size) for text in texts)
        width = min(max(least, longest), most) + 2 * padding
    if axes.cols.column:
        longest = max(guessed_width(text, spec.font_size) for text in axes.cols.values)
        lines = math.ceil(longest / max(1, spec.cell_size[0] - padding)) or 1
        values_height = min(lines, MAX_VALUE_LINES) * line + padding
    return AxisHeaders(width, line + padding, values_height)


def place_headers(
    axes: AxisPlan,
    page: int,
    rows: Sequence[int],
    pictures: Sequence[Sequence[Box]],
    sizes: AxisHeaders,
    margin: int,
) -> list[HeaderPlace]:
    """The headers of a page with these `rows` of the plan and the places of its `pictures`."""
    headers: list[HeaderPlace] = []
    top_row, left = pictures[0], margin
    top = top_row[0].y - sizes.height
    if axes.cols.column:
        width = top_row[-1].x + top_row[-1].width - top_row[0].x
        name = Box(x=top_row[0].x, y=top, width=width, height=sizes.name_height)
        headers.append(HeaderPlace(page, HeaderKind.COL_NAME, axes.cols.column, name))
        for text, picture in zip(axes.cols.values, top_row, strict=True):
            box = Box(
                x=picture.x,
                y=top + sizes.name_height,
                width=picture.width,
                height=sizes.values_height,
            )
            headers.append(HeaderPlace(page, HeaderKind.COL, text, box))
    if axes.rows.column:
        corner = Box(x=left, y=top, width=sizes.width, height=sizes.height)
        headers.append(HeaderPlace(page, HeaderKind.ROW_NAME, axes.rows.column, corner))
        for row, row_pictures in zip(rows, pictures, strict=True):
            first = row_pictures[0]
            box = Box(x=left, y=first.y, width=sizes.width, height=first.height)
            headers.append(HeaderPlace(page, HeaderKind.ROW, axes.rows.values[row], box))
    return headers
