"""Sheets as pictures: PNG, JPEG, WebP, TIFF and AVIF, each page a file with its own manifest."""

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from shared.job_spec import JobSpec, SheetFormat
from shared.schemas import Manifest
from worker.pipeline.manifest_text import KEYWORD, MAX_PAGE_BYTES, manifest_text
from worker.pipeline.png_file import PngPixels
from worker.pipeline.sheet_writer import RenderedPage, SheetWriter
from worker.pipeline.xmp import xmp_for_jpeg, xmp_packet

XMP_TAG = 700
"""Of TIFF."""
APP1 = b"\xff\xe1"
"""JPEG's marker of a segment for EXIF or XMP; two bytes of length come behind it."""
WEBP_METHOD = 2
"""Half of the default's time for 1 % more bytes."""
AVIF_SPEED = 9
"""A tenth of the time of Pillow's default, 6, for 7 % more bytes."""


class PictureFilesWriter(SheetWriter):
    _files: tuple[RenderedPage, ...] = ()

    def add_page(self, page: Image.Image, manifest: Manifest) -> None:
        number = len(self._files) + 1
        path = self.path_of(number)
        text, is_trimmed = manifest_text(manifest, MAX_PAGE_BYTES)
        if is_trimmed:
            self.warn_of_trimming(f"page {number}")
        self._write(page, path, text)
        self._files = (*self._files, RenderedPage.of(path, manifest.pages[number - 1]))

    def finish(self, manifest: Manifest) -> tuple[RenderedPage, ...]:
        del manifest  # each page has its own part of it
        return self._files

    def _write(self, page: Image.Image, path: Path, text: str) -> None:
        quality = self.spec.quality
        match self.spec.format:
            case SheetFormat.JPG:
                save_jpeg(page, path, quality, text)
            case SheetFormat.WEBP:
                page.save(path, "WEBP", quality=quality, method=WEBP_METHOD, xmp=xmp_packet(text))
            case SheetFormat.AVIF:
                page.save(path, "AVIF", quality=quality, speed=AVIF_SPEED, xmp=xmp_packet(text))
            case SheetFormat.TIFF:
                tags = {XMP_TAG: xmp_packet(text)}
                page.save(path, "TIFF", compression="tiff_adobe_deflate", tiffinfo=tags)
            case other:
                raise ValueError(f"{other} is not written page by page as a picture")


class PngFilesWriter(PictureFilesWriter):
    """Deflates the rows that are done on a thread of its own, beside the drawing of the others."""

    def __init__(self, spec: JobSpec, folder: Path) -> None:
        super().__init__(spec, folder)
        # Before the thread, which must have ended when it is closed.
        spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 # the stack closes it
        self._spool = self.opened.enter_context(spool)
        self._thread = self.opened.enter_context(ThreadPoolExecutor(1, "deflate"))
        self._deflating: list[Future[None]] = []
        self._bottom = 0

    def begin_page(self, page: Image.Image) -> None:
        self._spool.seek(0)
        self._spool.truncate()
        self._pixels = PngPixels(page, self._spool)
        self._deflating.clear()
        self._bottom = 0

    def rows_done(self, bottom: int) -> None:
        if bottom > self._bottom:
            self._bottom = bottom
            self._deflating.append(self._thread.submit(self._pixels.extend, bottom))

    def _write(self, page: Image.Image, path: Path, text: str) -> None:
        self.rows_done(page.height)
        for deflated in self._deflating:
            deflated.result()
        with path.open("wb") as file:
            self._pixels.write_png(file, {KEYWORD: text})


def save_jpeg(page: Image.Image, path: Path, quality: int, text: str) -> None:
    """At full chroma resolution, with which thin coloured lines stay sharp."""
    segments = b"".join(
        APP1 + (len(payload) + 2).to_bytes(2, "big") + payload for payload in xmp_for_jpeg(text)
    )
    page.save(path, "JPEG", quality=quality, subsampling="4:4:4", extra=segments)
