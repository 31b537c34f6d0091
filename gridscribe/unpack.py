"""From finished sheets back to pictures and a CSV, with which they can be made again."""

import csv
import io
import json
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridscribe.image_files import InputError
from gridscribe.local import needs_extra
from shared.csv_labels import MAX_COLUMN_NAME, MAX_COLUMNS, MAX_VALUE
from shared.schemas import ManifestImage
from shared.settings import Settings

CSV_NAME = "labels.csv"
OWN_COLUMNS = ("filename", "label", "label_source", "confidence")
TAKEN_PREFIX = "original_"
"""Before a metadata key that is one of our own columns."""

LONGEST_STEM = 100
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
"""What some file system refuses or a shell could stumble over."""
DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)
"""Of Windows, with any extension."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    folder: Path
    pictures: int
    without_picture: int
    """Placeholders on the sheet, and what lies under another in a stack: no file and no row."""


def unpack(sheets: Sequence[Path], folder: Path) -> Unpacked:
    """Write every cell of `sheets` as a PNG into `folder`, and `labels.csv` beside them.

    The folder appears whole or not at all. Raises `InputError` where it has files already, or a
    sheet cannot be read.
    """
    with needs_extra("compose"):
        from worker.pipeline.manifest_text import SheetReadError
        from worker.pipeline.sheet_reading import open_sheet
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: there is something already; name another folder with -o")
    folder.parent.mkdir(parents=True, exist_ok=True)
    max_pixels = Settings().max_sheet_pixels
    names: set[str] = set()
    rows: list[dict[str, str]] = []
    missing = 0
    with tempfile.TemporaryDirectory(
        prefix=".unpack-", dir=folder.parent, ignore_cleanup_errors=True
    ) as scratch:
        whole = Path(scratch) / "cells"
        whole.mkdir()
        for sheet in sheets:
            try:
                with open_sheet(sheet, max_pixels=max_pixels) as opened:
                    for image in opened.manifest.images:
                        if image.picture is None:
                            missing += 1
                            continue
                        name = picture_name(image.name, names)
                        opened.picture(image).save(whole / name, "PNG")
                        rows.append(_row(name, image))
            except SheetReadError as error:
                raise InputError(f"{sheet}: {error}") from error
        (whole / CSV_NAME).write_bytes(_csv(rows))
        whole.replace(folder)  # over an empty folder, too
    return Unpacked(folder, len(rows), missing)


def picture_name(name: str, taken: set[str]) -> str:
    """A file name of its own for the image `name`, which anybody may have chosen; joins `taken`."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    stem = base.rpartition(".")[0] or base
    kept = "".join(c for c in UNSAFE.sub("_", stem) if unicodedata.category(c)[0] != "C")
    kept = kept[:LONGEST_STEM].encode()[: 2 * LONGEST_STEM].decode(errors="ignore")
    kept = kept.strip(". ") or "image"
    if kept.startswith("-") or kept.partition(".")[0].casefold() in DEVICE_NAMES:
        kept = f"_{kept}"
    free, number = kept, 1
    while free.casefold() in taken:
        number += 1
        free = f"{kept}-{number}"
    taken.add(free.casefold())
    return f"{free}.png"


def _row(filename: str, image: ManifestImage) -> dict[str, str]:
    own = {
        "filename": filename,
        "label": image.label,
        "label_source": image.label_source.value,
        "confidence": "" if image.confidence is None else f"{image.confidence:.4f}",
    }
    return {name: _cell(value) for name, value in {**_metadata(image.metadata), **own}.items()}


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """By names that can be columns beside our own."""
    columns: dict[str, Any] = {}
    for key, value in metadata.items():
        name = _cell(key).strip()[: MAX_COLUMN_NAME - len(TAKEN_PREFIX)]
        if name.casefold() in OWN_COLUMNS:
            name = TAKEN_PREFIX + name.casefold()
        if name and value is not None:
            columns.setdefault(name, value)
    return columns


def _cell(value: object) -> str:
    """As the CSV reader takes it: bounded, without NUL and lone surrogates."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:MAX_VALUE].replace("\0", "").encode(errors="replace").decode()


def _csv(rows: Iterable[Mapping[str, str]]) -> bytes:
    rows = list(rows)
    columns = dict.fromkeys((*OWN_COLUMNS, *(name for row in rows for name in row)))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(
        file, list(columns)[:MAX_COLUMNS], restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()
