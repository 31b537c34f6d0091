"""Make a sheet in ComfyUI's own process, with the package gridscribe and no service."""

import contextlib
from pathlib import Path
from typing import Any

from .sheet_order import Report, Sheet, SheetError, SheetOrder, SheetWarning

_CSV = "labels.csv"


def make_sheet(order: SheetOrder, folder: Path, report: Report) -> Sheet:
    """The sheet, its pages saved in `folder`, by the same code that the service's workers run.

    The captioning model is given back at the end: its memory is wanted by the next sampler.

    Raises:
        SheetError: the package gridscribe is not there, or there is no sheet for other reasons.
    """
    try:
        from pydantic import ValidationError

        from gridscribe.image_files import InputError
        from gridscribe.local import local_captioning
        from gridscribe.local import make_sheet as make
        from shared.errors import GridscribeError
        from shared.job_spec import JobSpec
        from shared.settings import Settings
    except ImportError as error:
        raise SheetError(
            f"run_on is 'local', but {error}: install it into ComfyUI's Python with"
            " `python -m pip install 'gridscribe[caption]'`, or let run_on be 'service'"
        ) from error

    csv = None
    if order.csv is not None:
        csv = folder / _CSV
        csv.write_bytes(order.csv)
    try:
        spec = JobSpec.model_validate(order.spec)
        offered = Settings().clip_models
        if spec.use_clip and spec.clip_model not in (None, *offered):
            # As with the service: a workflow from a stranger must not choose what is downloaded.
            raise SheetError(
                f"clip_model: {spec.clip_model!r} is not offered here; there are"
                f" {', '.join(offered)} (GRIDSCRIBE_CLIP_MODELS names more)"
            )
        with contextlib.ExitStack() as stack:
            captioning = (
                stack.enter_context(local_captioning(spec.clip_model)) if spec.use_clip else None
            )
            sheet = make(
                spec,
                order.files,
                folder / "page.png",
                csv=csv,
                captioning=captioning,
                on_progress=lambda stage, done, total: report(stage.value, done, total),
            )
    except ValidationError as error:
        raise SheetError(_listed(error.errors())) from error
    except (GridscribeError, InputError) as error:
        raise SheetError(str(error)) from error
    labels = tuple(image.label for image in sheet.manifest.images)
    warnings = tuple(SheetWarning(told.code, told.detail) for told in sheet.manifest.warnings)
    return Sheet(sheet.pages, labels, warnings)


def _listed(errors: Any) -> str:
    return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors)
