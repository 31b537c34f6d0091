"""The nodes: inputs from the graph in, pages of the sheet and its labels out."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from . import in_process, service
from .folders import allowed_path, fingerprint, list_images
from .host import ProgressReport
from .image_labels import label_table, parse_labels, parse_metadata
from .pictures import read_page, write_pictures
from .service_address import Address, parse_address
from .sheet_order import STAGES, SheetError, SheetOrder
from .widgets import LOCAL, SERVICE, sheet_widgets, spec_from

logger = logging.getLogger(__name__)

_WARNINGS_SHOWN = 10

Outputs = tuple[list[torch.Tensor], str]
"""Pages, each an IMAGE of its own size, and the labels, one line an image."""


class _SheetNode:
    """What both nodes give to ComfyUI."""

    CATEGORY = "image/gridscribe"
    FUNCTION = "make"
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("sheet", "labels")
    # A list of pages, not a batch: the last page is shorter where it has fewer rows.
    OUTPUT_IS_LIST = (True, False)
    OUTPUT_TOOLTIPS = ("The pages of the sheet.", "The labels, one line an image.")


class LabeledGrid(_SheetNode):
    """`images` is a batch or a list of batches, whose sizes may differ."""

    DESCRIPTION = "Composes images into a labeled contact sheet."
    # Else ComfyUI would run the node once for every size.
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        return {
            "required": {"images": ("IMAGE", {"tooltip": "A batch, or a list of images."})},
            "optional": {
                "labels": (
                    "STRING",
                    {"default": "", "multiline": True, "tooltip": "One line an image."},
                ),
                "metadata": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": 'JSON: [{"prompt": "a fox", "seed": 1}, ...], one an image.',
                    },
                ),
                **sheet_widgets(),
                "embed_workflow": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "Send the workflow along in each picture, as Save Image does.",
                    },
                ),
            },
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    @classmethod
    def VALIDATE_INPUTS(
        cls,
        metadata: Sequence[str | None] = (None,),
        server_url: Sequence[str | None] = (None,),
    ) -> bool | str:
        # What another node is to give is not known yet: ComfyUI passes None, or nothing at all.
        texts = [text for text in metadata if text is not None]
        return _validated(lambda: (parse_metadata(texts), _parse_known(server_url[0])))

    def make(
        self,
        images: Sequence[torch.Tensor],
        labels: Sequence[str] = ("",),
        metadata: Sequence[str] = ("",),
        embed_workflow: Sequence[bool] = (False,),
        prompt: Sequence[Any] = (None,),
        extra_pnginfo: Sequence[Any] = (None,),
        **widgets: Sequence[Any],
    ) -> Outputs:
        values = {name: value[0] for name, value in widgets.items()}
        embedded = {"prompt": prompt[0], **(extra_pnginfo[0] or {})} if embed_workflow[0] else {}
        with _work_folder() as folder:
            files = write_pictures(images, Path(folder), embedded)
            csv = label_table(
                files, parse_labels(labels, len(files)), parse_metadata(metadata, len(files))
            )
            order = SheetOrder(spec_from(values), files, csv)
            # An image that was left without a label was left so on purpose.
            return _make(order, folder, values, expected=["no_csv_row"])


class LabeledGridFromFolder(_SheetNode):
    DESCRIPTION = "Composes the images of a folder into a labeled contact sheet."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        return {
            "required": {
                "folder": (
                    "STRING",
                    {"default": "", "tooltip": "Below ComfyUI's input or output folder."},
                )
            },
            "optional": {
                "csv": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "A file in that folder with a column filename and what is"
                        " known of each image.",
                    },
                ),
                **sheet_widgets(),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(
        cls, folder: str | None = None, server_url: str | None = None
    ) -> bool | str:
        return _validated(
            lambda: (
                None if folder is None else _images_of(folder),
                _parse_known(server_url),
            )
        )

    @classmethod
    def IS_CHANGED(
        cls, folder: str | None = None, csv: str | None = "", **_: object
    ) -> str | float:
        if folder is None or csv is None:
            return float("nan")  # named by another node and not known yet: equal to nothing
        try:
            table = _csv_of(folder, csv)
            return fingerprint([*_images_of(folder), *([table] if table else [])])
        except (SheetError, OSError) as error:
            return str(error)

    def make(self, folder: str, csv: str = "", **widgets: Any) -> Outputs:
        table = _csv_of(folder, csv)
        data = table.read_bytes() if table else None
        order = SheetOrder(spec_from(widgets), _images_of(folder), data)
        with _work_folder() as work_folder:
            return _make(order, work_folder, widgets)


def _images_of(folder: str) -> tuple[Path, ...]:
    return list_images(allowed_path(folder))


def _csv_of(folder: str, name: str) -> Path | None:
    return allowed_path(str(allowed_path(folder) / name.strip())) if name.strip() else None


def _parse_known(server_url: str | None) -> Address | None:
    return None if server_url is None else parse_address(server_url)


def _work_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="gridscribe-comfyui-")


def _make(
    order: SheetOrder, folder: str, widgets: Mapping[str, Any], expected: Sequence[str] = ()
) -> Outputs:
    """`expected` are codes of warnings that would tell the user nothing new."""
    report = ProgressReport()
    pages = Path(folder) / "pages"
    pages.mkdir()
    if widgets.get("run_on", SERVICE) == LOCAL:
        sheet = in_process.make_sheet(order, pages, report)
    else:
        address = parse_address(widgets.get("server_url", ""))
        sheet = service.make_sheet(address, order, pages, report)
    report(STAGES[-1], 1, 1)
    _log_warnings([told.detail for told in sheet.warnings if told.code not in expected])
    lines = [", ".join(label.splitlines()) for label in sheet.labels]
    return [read_page(page) for page in sheet.pages], "\n".join(lines)


def _log_warnings(details: Sequence[str]) -> None:
    for detail in details[:_WARNINGS_SHOWN]:
        logger.warning("%s", detail)
    if more := len(details[_WARNINGS_SHOWN:]):
        logger.warning("and %d more warnings", more)


def _validated(check: Callable[[], object]) -> bool | str:
    """What VALIDATE_INPUTS returns: True, or what is wrong."""
    try:
        check()
    except SheetError as error:
        return str(error)
    return True
