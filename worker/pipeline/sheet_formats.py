"""Which writer a format has; each is imported where it is first needed."""

from pathlib import Path

from shared.job_spec import JobSpec, SheetFormat
from worker.pipeline.picture_files import PictureFilesWriter, PngFilesWriter
from worker.pipeline.sheet_writer import SheetWriter


def sheet_writer(spec: JobSpec, folder: Path) -> SheetWriter:
    """The writer of `spec.format` into `folder`, which exists."""
    match spec.format:
        case SheetFormat.PDF:
            from worker.pipeline.pdf_document import PdfWriter

            return PdfWriter(spec, folder)
        case SheetFormat.HTML:
            from worker.pipeline.html_viewer import HtmlWriter

            return HtmlWriter(spec, folder)
        case SheetFormat.PNG:
            return PngFilesWriter(spec, folder)
        case _:
            return PictureFilesWriter(spec, folder)
