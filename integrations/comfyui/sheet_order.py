"""What a node asks for and what it gets, whether a service or this machine makes the sheet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = ("uploading", "captioning", "composing")

Report = Callable[[str, int, int], None]
"""Told the stage, what is done of it and what there is; raises when the user has canceled."""


class SheetError(Exception):
    """Why there is no sheet, in a sentence for the user: ComfyUI shows it in a red box."""


@dataclass(frozen=True)
class SheetOrder:
    spec: dict[str, Any]
    """Fields of the service's job spec; what is left out has the service's default."""
    files: tuple[Path, ...]
    csv: bytes | None = None


@dataclass(frozen=True)
class SheetWarning:
    code: str
    """As the service names it."""
    detail: str


@dataclass(frozen=True)
class Sheet:
    pages: tuple[Path, ...]
    """PNG files."""
    labels: tuple[str, ...]
    """One an image, in the order of the files; several lines are possible."""
    warnings: tuple[SheetWarning, ...] = ()
