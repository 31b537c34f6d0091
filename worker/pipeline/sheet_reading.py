"""A finished sheet back into its manifest and its pictures, whoever sent the file."""

import base64
import binascii
import contextlib
import io
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pikepdf
from PIL import Image, UnidentifiedImageError

from shared.schemas import Box, Manifest, ManifestImage
from worker.pipeline.manifest_text import (
    KEYWORD,
    MAX_DOCUMENT_BYTES,
    SheetReadError,
    parse_manifest,
)
from worker.pipeline.pdf_document import page_jpeg, read_manifest_text
from worker.pipeline.xmp import joined_extension, manifest_in_xmp

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")
CELL_FORMATS = ("WEBP",)
MAX_HTML_BYTES = 512 * 1024 * 1024
"""Of a whole file, which is read into memory."""
NO_MANIFEST = (
    "it carries no manifest: it is no sheet of gridscribe's, or a program that saved it since "
    "has left the manifest out"
)


class OpenSheet(ABC):
    """One file's manifest, and its pictures, which are decoded as they are asked for."""

    def __init__(self, manifest: Manifest, max_pixels: int) -> None:
        self.manifest = manifest
        self._max_pixels = max_pixels
        self._check()

    @abstractmethod
    def picture(self, image: ManifestImage) -> Image.Image:
        """The pixels of an image that has a picture; raises `SheetReadError` for damage."""

    def _check(self) -> None:
        """Hold the boxes within their pages and, all together, to the pages' pixels."""
        sizes = {page.page: (page.width, page.height) for page in self.manifest.pages}
        for number, (width, height) in sizes.items():
            if not 0 < width * height <= self._max_pixels:
                raise SheetReadError(
                    f"its page {number} of {width:,} x {height:,} pixels is over the limit of "
                    f"{self._max_pixels:,} (GRIDSCRIBE_MAX_SHEET_PIXELS)"
                )
        if len({image.index for image in self.manifest.images}) < len(self.manifest.images):
            raise SheetReadError("its manifest is not true: two images have one index")
        covered: Counter[int] = Counter()
        for image in self.manifest.images:
            width, height = sizes.get(image.page, (0, 0))
            box = image.picture
            if box is None:
                continue
            inside = 0 <= box.x <= width - box.width and 0 <= box.y <= height - box.height
            covered[image.page] += box.width * box.height
            if min(box.width, box.height) < 1 or not inside or covered[image.page] > width * height:
                raise SheetReadError(
                    f"its manifest is not true: the box of image {image.index} lies outside page "
                    f"{image.page}, or over other images"
                )


@contextlib.contextmanager
def open_sheet(path: Path, *, max_pixels: int) -> Iterator[OpenSheet]:
    """Open a sheet of any format, known by its content.

    Raises `SheetReadError` where it is none, is damaged, or has more than `max_pixels` a page.
    """
    with path.open("rb") as file:
        beginning = file.read(1024).lstrip().lower()
    if beginning.startswith(b"%pdf-"):
        try:
            document = pikepdf.open(path)
        except pikepdf.PdfError as error:
            raise SheetReadError(f"it is a damaged PDF: {error}") from error
        with document:
            yield _PdfSheet(document, max_pixels)
    elif beginning.startswith(b"<!doctype html"):
        yield _HtmlSheet(path, max_pixels)
    else:
        with _opened(path, PICTURE_FORMATS, max_pixels) as page:
            yield _PictureSheet(page, max_pixels)


class _PictureSheet(OpenSheet):
    def __init__(self, page: Image.Image, max_pixels: int) -> None:
        text = _text_of(page)
        if text is None:
            raise SheetReadError(NO_MANIFEST)
        super().__init__(parse_manifest(text), max_pixels)
        self._page = page
        numbers = {image.page for image in self.manifest.images}
        if len(numbers) > 1:
            raise SheetReadError("its manifest is not true: it speaks of other pages' images")
        for number in numbers:
            _check_size(self.manifest, number, page.size)

    def picture(self, image: ManifestImage) -> Image.Image:
        return _cut(self._page, image.picture)


class _PdfSheet(OpenSheet):
    def __init__(self, document: pikepdf.Pdf, max_pixels: int) -> None:
        try:
            text = read_manifest_text(document)
        except (pikepdf.PdfError, ValueError) as error:
            raise SheetReadError(f"it is a damaged PDF: {error}") from error
        if text is None:
            raise SheetReadError(NO_MANIFEST)
        super().__init__(parse_manifest(text), max_pixels)
        self._document = document
        self._number, self._page = 0, Image.new("RGB", (1, 1))

    def picture(self, image: ManifestImage) -> Image.Image:
        if self._number != image.page:
            jpeg = io.BytesIO(page_jpeg(self._document, image.page))
            with _opened(jpeg, ("JPEG",), self._max_pixels) as page:
                _check_size(self.manifest, image.page, page.size)
                self._number, self._page = image.page, page.copy()
        return _cut(self._page, image.picture)


class _HtmlSheet(OpenSheet):
    def __init__(self, path: Path, max_pixels: int) -> None:
        size = path.stat().st_size
        if size > MAX_HTML_BYTES:
            raise SheetReadError(f"it has {size:,} bytes; at most {MAX_HTML_BYTES:,} are read")
        parts = _ViewerParts()
        parts.feed(path.read_text(encoding="utf-8", errors="replace"))
        parts.close()
        if not parts.manifest:
            raise SheetReadError(NO_MANIFEST)
        super().__init__(parse_manifest("".join(parts.manifest)), max_pixels)
        self._sources = parts.sources

    def picture(self, image: ManifestImage) -> Image.Image:
        kind, _, data = self._sources.get(image.index, "").partition(",")
        if kind != "data:image/webp;base64":
            raise SheetReadError(f"the picture of image {image.index} is not in the file")
        try:
            file = io.BytesIO(base64.b64decode(data, validate=True))
        except binascii.Error as error:
            raise SheetReadError(f"the picture of image {image.index} is damaged") from error
        box = image.picture
        with _opened(file, CELL_FORMATS, self._max_pixels) as picture:
            if box is None or picture.size != (box.width, box.height):
                raise SheetReadError(f"the picture of image {image.index} has another size")
            return picture.convert("RGB")


class _ViewerParts(HTMLParser):
    """The manifest's text and, by the images' indices, their data URIs."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest: list[str] = []
        self.sources: dict[int, str] = {}
        self._index: int | None = None
        self._in_manifest = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "figure":
            index = given.get("data-index") or ""
            self._index = int(index) if index.isdecimal() and len(index) < 10 else None
        elif tag == "img" and self._index is not None:
            self.sources.setdefault(self._index, given.get("src") or "")
        self._in_manifest = tag == "script" and given.get("id") == KEYWORD

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self._index = None
        self._in_manifest = False

    def handle_data(self, data: str) -> None:
        if self._in_manifest:
            self.manifest.append(data)


@contextlib.contextmanager
def _opened(
    file: Path | io.BytesIO, formats: tuple[str, ...], max_pixels: int
) -> Iterator[Image.Image]:
    """Decoded, after a look at its header."""
    try:
        with warnings.catch_warnings():
            # Of large pictures, for which we have our own bound, and of damage, which we tell.
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=formats)
    except UnidentifiedImageError:
        raise SheetReadError(
            "it is neither a picture, a PDF nor an HTML file that gridscribe writes"
        ) from None
    except Exception as error:  # damage raises whatever each decoder trips over
        raise SheetReadError(f"it is damaged: {error}") from error
    with image:
        if image.width * image.height > max_pixels:
            raise SheetReadError(
                f"it has {image.width:,} x {image.height:,} pixels, over the limit of "
                f"{max_pixels:,} (GRIDSCRIBE_MAX_SHEET_PIXELS)"
            )
        try:
            image.load()
        except Exception as error:
            raise SheetReadError(f"it is damaged: {error}") from error
        yield image


def _text_of(page: Image.Image) -> str | None:
    if page.format == "PNG":
        text = page.text.get(KEYWORD)  # type: ignore[attr-defined]  # of PNG images only
        return None if text is None else str(text)
    packet = page.info.get("xmp")
    if not isinstance(packet, bytes):
        return None
    text = manifest_in_xmp(packet)
    if text is None and page.format == "JPEG":
        segments = [data for name, data in page.applist if name == "APP1"]  # type: ignore[attr-defined]
        if sum(map(len, segments)) > 2 * MAX_DOCUMENT_BYTES:
            raise SheetReadError("its XMP is too long to be read")
        extension = joined_extension(segments)
        text = None if extension is None else manifest_in_xmp(extension)
    return text


def _check_size(manifest: Manifest, page: int, size: tuple[int, int]) -> None:
    planned = next((p.width, p.height) for p in manifest.pages if p.page == page)
    if planned != size:
        raise SheetReadError(
            f"page {page} has {size[0]} x {size[1]} pixels, but was made with {planned[0]} x "
            f"{planned[1]}: it was scaled or cropped since, so that its cells cannot be told"
        )


def _cut(page: Image.Image, box: Box | None) -> Image.Image:
    if box is None:
        raise ValueError("a placeholder is no picture")
    return page.crop((box.x, box.y, box.x + box.width, box.y + box.height)).convert("RGB")
