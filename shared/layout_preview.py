"""The geometry of a sheet before there is one: what `POST /v1/preview` takes and gives."""

from typing import Annotated

from pydantic import Field

from shared.axes import MAX_VALUES, axes_of_size
from shared.axis_headers import HeaderKind
from shared.job_spec import JobSpec, StrictModel
from shared.layout import SheetLayout, plan_sheet
from shared.schemas import Box, ManifestPage


class AxisCounts(StrictModel):
    """Values of each axis."""

    rows: Annotated[int, Field(ge=1, le=MAX_VALUES)]
    cols: Annotated[int, Field(ge=1, le=MAX_VALUES)]


class PreviewRequest(StrictModel):
    spec: JobSpec = JobSpec()
    count: Annotated[int, Field(ge=1)]
    """Images the sheet is to hold."""
    label_lines: Annotated[int, Field(ge=1)] | None = None
    """Lines that the longest label takes. Without it bands below the pictures are as high as they
    may become; where labels are short, those of the sheet are lower, and so are its pages."""
    axis_counts: AxisCounts | None = None
    """For an X/Y plot. Its headers are taken for short: real ones may need a little more room."""


class PreviewCell(StrictModel):
    index: int
    page: int
    """From 1."""
    row: int
    col: int
    cell: Box
    """Picture and label together."""
    picture: Box
    label: Box | None
    """None where labels are off."""


class PreviewHeader(StrictModel):
    page: int
    kind: HeaderKind
    box: Box


class Preview(StrictModel):
    rows: int
    cols: int
    pages: tuple[ManifestPage, ...]
    title: Box | None
    """The same on every page."""
    header: Box | None
    """The same on every page; None unless labels are smart."""
    cells: tuple[PreviewCell, ...]
    headers: tuple[PreviewHeader, ...] = ()
    """Of the axes."""


def planned_preview(request: PreviewRequest, *, max_pixels: int) -> Preview:
    """The preview of `request`, whose spec has its template's values already.

    Raises `GridscribeError` as `plan_sheet` does.
    """
    counts = request.axis_counts
    return _preview_of(
        plan_sheet(
            request.spec,
            request.count,
            max_pixels=max_pixels,
            axes=axes_of_size(counts.rows, counts.cols, request.count) if counts else None,
            label_lines=request.label_lines,
        )
    )


def _preview_of(layout: SheetLayout) -> Preview:
    return Preview(
        rows=layout.rows,
        cols=layout.cols,
        pages=layout.pages,
        title=layout.title_box,
        header=layout.header_box,
        cells=tuple(
            PreviewCell(
                index=place.index,
                page=place.page,
                row=place.row,
                col=place.col,
                cell=place.cell,
                picture=place.picture,
                label=place.band,
            )
            for place in layout.cells
        ),
        headers=tuple(
            PreviewHeader(page=header.page, kind=header.kind, box=header.box)
            for header in layout.headers
        ),
    )
