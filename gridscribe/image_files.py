"""Which files a command means, and in what order they come."""

from collections.abc import Sequence
from pathlib import Path

from gridscribe.sheet_files import pages_there
from shared.column_values import natural_key

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})


class InputError(Exception):
    """What was named on the command line cannot be used; the message says why."""


def find_images(paths: Sequence[Path], output: Path | None = None) -> list[Path]:
    """The images that `paths` name: a file itself, of a folder its image files in natural order.

    Folders below a folder, hidden files, and the pages that an earlier run left at `output` do not
    count. Raises `InputError` when nothing is left.
    """
    own = {page.resolve() for page in pages_there(output)} if output else set()
    images: list[Path] = []
    for path in paths:
        if path.is_dir():
            images += sorted(
                (file for file in path.iterdir() if _is_image(file) and file.resolve() not in own),
                key=lambda file: natural_key(file.name),
            )
        elif not path.exists():
            raise InputError(f"{path}: no such file or folder")
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
            raise InputError(f"{path}: not an image by its name (known are {kinds})")
        else:
            images.append(path)
    if not images:
        raise InputError(f"no images in {', '.join(map(str, paths))}")
    return images


def _is_image(file: Path) -> bool:
    return (
        file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
