"""The widgets that both nodes have, and the job spec that their values make."""

import os
from collections.abc import Mapping
from typing import Any

from .service_address import STANDARD_SERVER
from .sheet_order import SheetError

SERVICE = "service"
LOCAL = "local"

# Names and defaults are those of the service's job spec, so that a widget left alone says nothing.
_SPEC_WIDGETS: dict[str, tuple[Any, dict[str, Any]]] = {
    "use_clip": (
        "BOOLEAN",
        {"default": False, "tooltip": "Let CLIP caption the images that have no label."},
    ),
    "clip_model": (
        "STRING",
        {"default": "", "tooltip": "One of the service's models; empty: its default."},
    ),
    "template": (
        "STRING",
        {
            "default": "",
            "tooltip": "A layout preset: default, compact, large, presentation, comparison,"
            " gallery, wide or tall. Layout widgets that you changed win over it.",
        },
    ),
    "rows": ("INT", {"default": 0, "min": 0, "max": 500, "tooltip": "Rows a page; 0: automatic."}),
    "cols": ("INT", {"default": 0, "min": 0, "max": 500, "tooltip": "Columns; 0: automatic."}),
    "cell_width": (
        "INT",
        {"default": 256, "min": 16, "max": 4096, "tooltip": "Pixels of a picture's place."},
    ),
    "cell_height": (
        "INT",
        {"default": 256, "min": 16, "max": 4096, "tooltip": "Pixels, without the label."},
    ),
    "margin": ("INT", {"default": 10, "min": 0, "max": 500, "tooltip": "Pixels between cells."}),
    "font_size": ("INT", {"default": 16, "min": 6, "max": 200, "tooltip": "Pixels."}),
    "background": (
        "STRING",
        {"default": "#ffffff", "tooltip": "A color: white, #fff or #ffffff."},
    ),
    "label_position": (
        ["band", "overlay", "none"],
        {"default": "band", "tooltip": "Below the picture, on it, or nowhere."},
    ),
    "resize_mode": (
        ["fit", "fill", "stretch"],
        {
            "default": "fit",
            "tooltip": "Show the whole picture, fill the cell and cut, or distort.",
        },
    ),
    "overflow": (
        ["pages", "grow", "error"],
        {"default": "pages", "tooltip": "For images past the last cell of a fixed grid."},
    ),
    "title": ("STRING", {"default": "", "tooltip": "A line above the sheet."}),
    "columns": (
        "STRING",
        {
            "default": "",
            "tooltip": "What to draw, such as: prompt, seed. Empty: the label.",
        },
    ),
}
_NOT_OF_THE_SPEC = ("cell_width", "cell_height", "columns")


def sheet_widgets() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Entries of INPUT_TYPES."""
    return {
        **_SPEC_WIDGETS,
        "run_on": (
            [SERVICE, LOCAL],
            {
                "default": SERVICE,
                "tooltip": "A running Gridscribe service, or this very Python (it then needs the"
                " package gridscribe).",
            },
        ),
        "server_url": (
            "STRING",
            {
                "default": os.environ.get("GRIDSCRIBE_SERVER") or STANDARD_SERVER,
                "tooltip": "The service's address; empty: what GRIDSCRIBE_SERVER says.",
            },
        ),
    }


def spec_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """The job spec that the widgets ask for; one that has its default value is not in it.

    So a template decides whatever was left alone. Raises `SheetError` for a wrong type, which
    only a workflow written by hand can hold.
    """
    changed = {
        name: _checked(name, values[name], options["default"])
        for name, (_, options) in _SPEC_WIDGETS.items()
        if name in values and values[name] != options["default"]
    }
    spec = {name: value for name, value in changed.items() if name not in _NOT_OF_THE_SPEC}
    if "cell_width" in changed or "cell_height" in changed:
        spec["cell_size"] = [
            changed.get(name, _SPEC_WIDGETS[name][1]["default"])
            for name in ("cell_width", "cell_height")
        ]
    columns = [column.strip() for column in changed.get("columns", "").split(",")]
    if any(columns):
        spec["labels"] = [column for column in columns if column]
    return {**spec, "format": "png"}


def _checked(name: str, value: object, default: object) -> Any:
    if type(value) is not type(default):
        raise SheetError(f"{name}: {value!r} is no {type(default).__name__} like {default!r}")
    return value.strip() if isinstance(value, str) else value
