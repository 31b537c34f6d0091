"""The geometry of a sheet before there is one: what `POST /v1/preview` takes and gives."""

from typing import Annotated

from pydantic import Field

from api.job_service import check_model, check_vocabulary
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.layout import plan_sheet
from shared.schemas import Box, JobSpec, ManifestPage, StrictModel
from shared.settings import Settings
from shared.templates import apply_template


class PreviewRequest(StrictModel):
    spec: JobSpec = JobSpec()
    count: Annotated[int, Field(ge=1)]
    """Images the sheet is to hold."""


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


class Preview(StrictModel):
    rows: int
    cols: int
    pages: tuple[ManifestPage, ...]
    title: Box | None
    """The same on every page."""
    cells: tuple[PreviewCell, ...]


def preview(request: PreviewRequest, settings: Settings) -> Preview:
    """Raises the `GridscribeError` that a job with this spec would be refused with."""
    if request.count > settings.max_images:
        detail = f"a job may have {settings.max_images} images, not {request.count}"
        raise GridscribeError(
            ErrorCode.TOO_MANY_IMAGES, f"count: {detail}", errors=[ErrorLocation("count", detail)]
        )
    spec = apply_template(request.spec)
    check_model(spec, settings)
    check_vocabulary(spec, settings)
    layout = plan_sheet(spec, request.count, max_pixels=settings.max_sheet_pixels)
    return Preview(
        rows=layout.rows,
        cols=layout.cols,
        pages=layout.pages,
        title=layout.title_box,
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
    )
