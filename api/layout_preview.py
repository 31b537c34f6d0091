"""The geometry of a sheet before there is one: what `POST /v1/preview` takes and gives."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from api.job_service import check_model, check_vocabulary
from shared.axes import MAX_VALUES, axes_of_size
from shared.axis_headers import HeaderKind
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import JobSpec, StrictModel, Template
from shared.layout import plan_sheet
from shared.schemas import Box, ManifestPage
from shared.settings import Settings
from shared.templates import apply_template


class AxisCounts(StrictModel):
    """Values of each axis."""

    rows: Annotated[int, Field(ge=1, le=MAX_VALUES)]
    cols: Annotated[int, Field(ge=1, le=MAX_VALUES)]


class PreviewRequest(StrictModel):
    spec: JobSpec = JobSpec()
    count: Annotated[int, Field(ge=1)]
    """Images the sheet is to hold."""
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


def preview(request: PreviewRequest, settings: Settings, own: Mapping[str, Template]) -> Preview:
    """Raises the `GridscribeError` that a job with this spec would be refused with."""
    if request.count > settings.max_images:
        detail = f"a job may have {settings.max_images} images, not {request.count}"
        raise GridscribeError(
            ErrorCode.TOO_MANY_IMAGES, f"count: {detail}", errors=[ErrorLocation("count", detail)]
        )
    spec = apply_template(request.spec, own)
    check_model(spec, settings)
    check_vocabulary(spec, settings)
    counts = request.axis_counts
    axes = axes_of_size(counts.rows, counts.cols, request.count) if counts else None
    layout = plan_sheet(spec, request.count, max_pixels=settings.max_sheet_pixels, axes=axes)
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
