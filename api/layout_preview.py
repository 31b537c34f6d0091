"""What `POST /v1/preview` answers."""

from collections.abc import Mapping

from api.job_service import check_model, check_vocabulary
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import Template
from shared.layout_preview import Preview, PreviewRequest, planned_preview
from shared.settings import Settings
from shared.templates import apply_template


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
    applied = request.model_copy(update={"spec": spec})
    return planned_preview(applied, max_pixels=settings.max_sheet_pixels)
