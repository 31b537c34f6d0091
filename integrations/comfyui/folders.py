"""Which folders of this machine a workflow may read, and the images in them."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .host import own_folders
from .sheet_order import SheetError

MORE_FOLDERS = "GRIDSCRIBE_COMFYUI_FOLDERS"
"""Environment variable: folders beside ComfyUI's own, separated as in PATH."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})


def allowed_path(name: str) -> Path:
    """The file or folder that `name` means: absolute, or below ComfyUI's input or output folder.

    Workflows come from strangers, and one that could name any folder together with any server would
    send them the pictures of this machine.

    Raises:
        SheetError: it lies outside of what may be read, or does not exist.
    """
    name = name.strip()
    if not name or "\0" in name:
        raise SheetError("folder: name one, such as a folder below ComfyUI's output folder")
    roots = _roots()
    found = [path.resolve() for path in _meanings(Path(name), roots)]
    allowed = [path for path in found if any(path.is_relative_to(root) for root in roots)]
    if not allowed:
        raise SheetError(
            f"{name!r} lies outside of ComfyUI's input, output and temp folders; move the images"
            f" there, or start ComfyUI with {MORE_FOLDERS} naming the folders that workflows"
            " may read"
        )
    there = next((path for path in allowed if path.exists()), None)
    if there is None:
        raise SheetError(f"{name!r}: no such file or folder in {_listed(allowed)}")
    return there


def list_images(folder: Path) -> tuple[Path, ...]:
    """The folder's image files in natural order: `img_2` before `img_10`; none from below it.

    Raises:
        SheetError: it is no folder, cannot be read, or holds no image.
    """
    if not folder.is_dir():
        raise SheetError(f"{folder}: not a folder; name the folder that holds the images")
    try:
        files = [
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        ]
    except OSError as error:
        raise SheetError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if not files:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise SheetError(f"{folder}: no images in it (known are {kinds})")
    return tuple(sorted(files, key=_natural_order))


def fingerprint(paths: Sequence[Path]) -> str:
    """Differs as soon as a file comes, goes or is written."""
    digest = hashlib.sha256()
    for path in paths:
        state = path.stat()
        digest.update(repr((str(path), state.st_size, state.st_mtime_ns)).encode())
    return digest.hexdigest()


def _roots() -> list[Path]:
    more = os.environ.get(MORE_FOLDERS, "").split(os.pathsep)
    return [path.resolve() for path in (*own_folders(), *map(Path, filter(None, more)))]


def _meanings(path: Path, roots: Sequence[Path]) -> list[Path]:
    return [path] if path.is_absolute() else [root / path for root in roots]


def _natural_order(path: Path) -> list[str | int]:
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(str(path.parent) for path in paths)
