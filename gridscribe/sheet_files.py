"""Where the pages of a finished sheet go, and how they get there."""

import contextlib
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def page_path(path: Path, page: int) -> Path:
    """Where page `page` of a sheet saved as `path` goes: `sheet.png`, `sheet-2.png` and on."""
    return path if page == 1 else path.with_stem(f"{path.stem}-{page}")


def pages_there(path: Path) -> list[Path]:
    """The pages that an earlier run left of the sheet `path`: as far as they follow one another."""
    pages = (page_path(path, page) for page in itertools.count(1))
    return list(itertools.takewhile(Path.is_file, pages))


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that gets the name `path` when the block ends, and vanishes when the block fails."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
