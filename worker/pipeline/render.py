"""From images and their labels to the pages of a sheet and its manifest."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from shared.errors import ErrorCode, GridscribeError, UnreadableImageError
from shared.layout import CellPlace, SheetLayout, plan_sheet
from shared.schemas import (
    Box,
    JobSpec,
    JobWarning,
    LabelSource,
    Manifest,
    ManifestImage,
    ScoredTerm,
)
from worker.pipeline.manifest_text import manifest_of_page
from worker.pipeline.page_canvas import PageCanvas, text_room
from worker.pipeline.pictures import open_first_frame, resized
from worker.pipeline.preprocessing import decode_target, preprocess
from worker.pipeline.sheet_formats import sheet_writer
from worker.pipeline.sheet_writer import RenderedPage
from worker.pipeline.typeface import Weight
from worker.pipeline.typography import clean_text, common_size

LOOK_AHEAD = 2
"""Pictures a thread that may be decoded and waiting for their place."""

MOST_LOCKING_THREADS = 3
"""Up to so many decoding threads, a decoder that needs a third of the processor time makes up for
holding the interpreter lock; more threads are faster with one that lets it go."""


class RenderCanceled(Exception):  # noqa: N818  # asked for by the caller, so no error
    """`stop` said so; the folder may hold some pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetEntry:
    """One image as the sheet needs it; what is not drawn goes into the manifest as it is."""

    name: str
    open: Callable[[], BinaryIO]
    """May be called on another thread; the file is closed after one reading."""
    label: str = ""
    source: LabelSource = LabelSource.FILENAME
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    facets: dict[str, tuple[ScoredTerm, ...]] = field(default_factory=dict)
    model: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenderedSheet:
    pages: tuple[RenderedPage, ...]
    manifest: Manifest


def _ignore(done: int) -> None:
    del done


def _never() -> bool:
    return False


def render_sheet(
    spec: JobSpec,
    entries: Sequence[SheetEntry],
    folder: Path,
    *,
    max_pixels: int,
    header: str = "",
    threads: int = 2,
    progress: Callable[[int], None] = _ignore,
    stop: Callable[[], bool] = _never,
) -> RenderedSheet:
    """Write `page-1.png`, `page-2.png` and on into `folder`, which exists.

    Of a format that holds all pages there is one file, `page-1.pdf`. One page and a few pictures
    are in memory at a time.

    Args:
        max_pixels: Most pixels of one page.
        header: Drawn where the layout has room for one.
        threads: How many decode pictures beside the calling one, which draws.
        progress: Told how many images have their place.
        stop: Asked before every image.

    Raises:
        GridscribeError: what `plan_sheet` refuses, or `no_readable_image`.
        RenderCanceled: `stop` returned True.
        OSError: or another of an entry's own errors, when a file cannot be fetched or written.
    """
    layout = plan_sheet(spec, len(entries), max_pixels=max_pixels)
    labels = [clean_text(entry.label) for entry in entries]
    label_size = _label_size(spec, layout, labels)
    images: list[ManifestImage] = []
    warnings: list[JobWarning] = []

    def manifest() -> Manifest:
        return Manifest(
            rows=layout.rows,
            cols=layout.cols,
            pages=layout.pages,
            images=tuple(images),
            header=header,
            warnings=(*warnings, *writer.warnings),
        )

    with (
        sheet_writer(spec, folder) as writer,
        contextlib.closing(_prepared_pictures(spec, entries, threads)) as pictures,
    ):
        for number, places in groupby(layout.cells, key=lambda place: place.page):
            plan = layout.pages[number - 1]
            canvas = PageCanvas((plan.width, plan.height), spec, label_size)
            if layout.title_box:
                canvas.draw_title(clean_text(spec.title or ""), layout.title_box)
            if layout.header_box and header:
                canvas.draw_header(clean_text(header), layout.header_box)
            for place in places:
                if stop():
                    raise RenderCanceled
                picture, has_more_frames = next(pictures)
                entry = entries[place.index]
                if isinstance(picture, UnreadableImageError):
                    canvas.draw_placeholder(place.picture)
                    taken = None
                    warnings.append(_unreadable(place.index, entry, picture))
                else:
                    taken = canvas.draw_picture(picture, place.picture)
                if has_more_frames:
                    warnings.append(_animated(place.index, entry))
                if place.band and writer.draws_labels:
                    canvas.draw_label(labels[place.index], place.band, taken or place.picture)
                images.append(_manifest_image(entry, place, taken))
                progress(place.index + 1)
            writer.add_page(canvas.image, manifest_of_page(manifest(), number))
        if all(image.picture is None for image in images):
            raise GridscribeError(
                ErrorCode.NO_READABLE_IMAGE,
                f"none of the {len(entries)} images can be read; the first: {warnings[0].detail}",
            )
        return RenderedSheet(writer.finish(manifest()), manifest())


def _label_size(spec: JobSpec, layout: SheetLayout, labels: Sequence[str]) -> int:
    band = layout.cells[0].band
    if band is None:
        return spec.font_size
    room = text_room(band, spec.font_size)
    return common_size(labels, Weight.REGULAR, room, spec.font_size)


class Prepared(NamedTuple):
    picture: Image.Image | UnreadableImageError
    has_more_frames: bool


def _prepared_pictures(
    spec: JobSpec, entries: Sequence[SheetEntry], threads: int
) -> Generator[Prepared, None, None]:
    """The entries' pictures in order, decoded by threads that stay just ahead of the reader."""
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        waiting = iter(entries)
        ahead: deque[Future[Prepared]] = deque()
        prepare = partial(_prepare, spec, threads <= MOST_LOCKING_THREADS)
        try:
            ahead.extend(
                pool.submit(prepare, entry) for entry in islice(waiting, threads * LOOK_AHEAD)
            )
            while ahead:
                picture = ahead.popleft().result()
                ahead.extend(pool.submit(prepare, entry) for entry in islice(waiting, 1))
                yield picture
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare(spec: JobSpec, hold_lock: bool, entry: SheetEntry) -> Prepared:
    """The entry's picture at the size of its place, or why there is none."""
    has_more = False
    with entry.open() as file:
        try:
            target = decode_target(spec)
            frame = open_first_frame(file, target, spec.resize_mode, hold_lock=hold_lock)
            has_more = frame.has_more
            picture = preprocess(frame.image, spec.preprocessing, spec.resize_mode)
        except UnreadableImageError as error:
            return Prepared(error, has_more)
    return Prepared(resized(picture, spec.cell_size, spec.resize_mode), has_more)


def _animated(index: int, entry: SheetEntry) -> JobWarning:
    detail = f"{entry.name!r} has several frames or pages; the sheet shows the first"
    return JobWarning(code="animated_first_frame", detail=detail, image=index)


def _unreadable(index: int, entry: SheetEntry, error: UnreadableImageError) -> JobWarning:
    return JobWarning(code="unreadable_image", detail=f"{entry.name!r}: {error}", image=index)


def _manifest_image(entry: SheetEntry, place: CellPlace, taken: Box | None) -> ManifestImage:
    return ManifestImage(
        index=place.index,
        name=entry.name,
        label=entry.label,
        label_source=entry.source,
        confidence=entry.confidence,
        page=place.page,
        row=place.row,
        col=place.col,
        cell=place.cell,
        picture=taken,
        reasons=entry.reasons,
        facets=entry.facets,
        model=entry.model,
        metadata=entry.metadata,
    )
