"""What every format of a sheet is written through."""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from shared.job_spec import JobSpec
from shared.schemas import JobWarning, Manifest, ManifestImage, ManifestPage


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A file of a sheet; width and height are its first page's, in pixels."""

    path: Path
    width: int
    height: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, page: ManifestPage) -> Self:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(path, page.width, page.height, path.stat().st_size, sha256)


class SheetWriter(ABC):
    """Takes the pages as they are drawn and keeps none of them in memory."""

    draws_labels = True
    """False where the labels are text beside the pictures instead of pixels."""

    def __init__(self, spec: JobSpec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.opened = contextlib.ExitStack()
        """Closed with the writer, even where an unfinished file stays behind."""
        self.warnings: list[JobWarning] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.opened.close()

    def begin_page(self, page: Image.Image) -> None:  # noqa: B027 # few writers have a use for it
        """`page`, RGB, is about to be drawn, row of cells by row from the top."""

    def rows_done(self, bottom: int) -> None:  # noqa: B027 # nor for this
        """No pixel of the page above `bottom` changes any more: they may be written already."""

    @abstractmethod
    def add_page(self, page: Image.Image, manifest: Manifest) -> None:
        """`page` is drawn; `manifest` has all pages' sizes and the images of this one."""

    @abstractmethod
    def finish(self, manifest: Manifest) -> tuple[RenderedPage, ...]:
        """The files in `folder`, complete."""

    def path_of(self, number: int) -> Path:
        return self.folder / f"page-{number}.{self.spec.format.value}"

    def warn_of_trimming(self, carrier: str) -> None:
        detail = (
            f"{carrier} carries its manifest without the images' metadata, with which it would "
            "be too long; the job's own manifest has everything"
        )
        self.warnings.append(JobWarning(code="manifest_trimmed", detail=detail))


def reading_order(manifest: Manifest) -> list[ManifestImage]:
    """The images that are shown, of a stack the one on top, page by page and row by row."""
    shown = (image for image in manifest.images if image.stacked_on is None)
    return sorted(shown, key=lambda image: (image.page, image.row, image.col))
