"""A manifest as the text that a sheet carries, and back from a text of unknown origin."""

import json
from typing import Any

from pydantic import ValidationError

from shared.schemas import Manifest

KEYWORD = "gridscribe"
"""The name that the text has in a file, wherever texts have names."""
MAX_PAGE_BYTES = 8_000_000
"""Of the manifest of one page in a picture's file: libpng passes over longer texts."""
MAX_DOCUMENT_BYTES = 64_000_000
"""Of that of all pages in one document, and of any that is read."""

OPTIONAL_FIELDS = ({"metadata"}, {"metadata", "facets", "reasons"})
"""Of an image; what is left out, in this order, where a manifest is too long."""


class SheetReadError(Exception):
    """A file cannot be taken apart as a sheet; the message says why."""


def manifest_of_page(manifest: Manifest, page: int) -> Manifest:
    """All pages' sizes, but only the images that stand on `page`."""
    images = tuple(image for image in manifest.images if image.page == page)
    numbers = {image.index for image in images}
    warnings = tuple(w for w in manifest.warnings if w.image is None or w.image in numbers)
    return manifest.model_copy(update={"images": images, "warnings": warnings})


def manifest_text(manifest: Manifest, most: int) -> tuple[str, bool]:
    """JSON in ASCII, which every container takes as it is, and whether anything was left out.

    At most `most` bytes long, unless the names and labels alone are longer.
    """
    content = manifest.model_dump(mode="json")
    text = _dumped(content)
    if len(text) <= most:
        return text, False
    for fields in OPTIONAL_FIELDS:
        content["images"] = [
            {name: value for name, value in image.items() if name not in fields}
            for image in content["images"]
        ]
        text = _dumped(content)
        if len(text) <= most:
            break
    return text, True


def parse_manifest(text: str | bytes) -> Manifest:
    """Raises `SheetReadError` where it is none that this version can read."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise SheetReadError(
            f"its manifest has {len(text):,} bytes; at most {MAX_DOCUMENT_BYTES:,} are read"
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its beginning"
        raise SheetReadError(
            f"its manifest cannot be read, at {where}: {first['msg']}; "
            "it is damaged, or a newer version wrote it"
        ) from error


def _dumped(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))
