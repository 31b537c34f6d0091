"""From images and their labels to the pages of a sheet and its manifest."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from shared.errors import ErrorCode, GridscribeError, UnreadableImageError
from shared.job_spec import JobSpec
from shared.layout import CellPlace, SheetLayout, caption_lines, plan_sheet
from shared.schemas import Box, JobWarning, LabelSource, Manifest, ManifestImage, ScoredTerm
from worker.pipeline.arrangement import arrange
from worker.pipeline.decoding_memory import DecodingMemory
from worker.pipeline.manifest_text import manifest_of_page
from worker.pipeline.page_canvas import PageCanvas, text_room, text_width
from worker.pipeline.pictures import MOST_LOCKING_THREADS, open_first_frame, resized
from worker.pipeline.preprocessing import decode_target, preprocess
from worker.pipeline.sheet_formats import sheet_writer
from worker.pipeline.sheet_writer import RenderedPage
from worker.pipeline.typeface import Weight, typeface
from worker.pipeline.typography import clean_text, common_size, most_lines

LOOK_AHEAD = 2
"""Pictures a thread that may be decoded and waiting for their place."""


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
    """All that is known of the image, by column: sort and axes read it too."""
    features: str | None = None
    """`model`'s, packed; what is to be compared needs them."""


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
    arrangement = arrange(spec, entries, threads=threads, stop=stop)
    stacks = arrangement.stacks
    labels = [clean_text(entries[shown].label) for shown, *_ in stacks]
    layout = plan_sheet(
        spec,
        len(stacks),
        max_pixels=max_pixels,
        axes=arrangement.axes,
        label_lines=_label_lines(spec, labels),
    )
    label_size = _label_size(spec, layout, labels)
    images: list[ManifestImage] = []
    warnings: list[JobWarning] = []
    in_order = [entries[stacks[place.index][0]] for place in layout.cells]

    def manifest() -> Manifest:
        return Manifest(
            rows=layout.rows,
            cols=layout.cols,
            pages=layout.pages,
            images=tuple(sorted(images, key=lambda image: image.index)),
            header=header,
            axes=arrangement.axes.manifest() if arrangement.axes else None,
            warnings=(*arrangement.warnings, *warnings, *writer.warnings),
        )

    with (
        sheet_writer(spec, folder) as writer,
        _prepared_pictures(spec, in_order, threads) as pictures,
    ):
        for number, places in groupby(layout.cells, key=lambda place: place.page):
            canvas = _page(spec, layout, number, label_size, header)
            writer.begin_page(canvas.image)
            for place in places:
                if stop():
                    raise RenderCanceled
                writer.rows_done(place.cell.y)
                picture, has_more_frames = next(pictures)
                shown, *others = stacks[place.index]
                entry = entries[shown]
                if isinstance(picture, UnreadableImageError):
                    canvas.draw_placeholder(place.picture)
                    taken = None
                    warnings.append(_unreadable(shown, entry, picture))
                else:
                    taken = canvas.draw_picture(picture, place.picture)
                if has_more_frames:
                    warnings.append(_animated(shown, entry))
                if place.band and writer.draws_labels:
                    canvas.draw_label(labels[place.index], place.band, taken or place.picture)
                if others:
                    badge = f"\u00d7{len(others) + 1}"
                    canvas.draw_badge(badge, taken or place.picture, place.picture)
                images.append(_manifest_image(entry, shown, place, taken))
                images += (
                    _manifest_image(entries[index], index, place, None, stacked_on=shown)
                    for index in others
                )
                progress(len(images))
            writer.add_page(canvas.image, manifest_of_page(manifest(), number))
        if all(image.picture is None for image in images):
            raise GridscribeError(
                ErrorCode.NO_READABLE_IMAGE,
                f"none of the {len(entries)} images can be read; the first: {warnings[0].detail}",
            )
        return RenderedSheet(writer.finish(manifest()), manifest())


def _page(
    spec: JobSpec, layout: SheetLayout, number: int, label_size: int, header: str
) -> PageCanvas:
    """A page with all that stands around its pictures."""
    plan = layout.pages[number - 1]
    canvas = PageCanvas((plan.width, plan.height), spec, label_size)
    if layout.title_box:
        canvas.draw_title(clean_text(spec.title or ""), layout.title_box)
    if layout.header_box and header:
        canvas.draw_header(clean_text(header), layout.header_box)
    canvas.draw_headers([place for place in layout.headers if place.page == number])
    for gap in layout.gaps:
        if gap.page == number:
            canvas.draw_gap(gap.box)
    return canvas


def _label_lines(spec: JobSpec, labels: Sequence[str]) -> int:
    """Lines that the longest label takes at the size that was asked for."""
    width = text_width(spec.cell_size[0], spec.font_size)
    face = typeface(Weight.REGULAR, spec.font_size)
    return most_lines(labels, face, width, caption_lines(spec))


def _label_size(spec: JobSpec, layout: SheetLayout, labels: Sequence[str]) -> int:
    band = layout.cells[0].band
    if band is None:
        return spec.font_size
    room = text_room(band, spec.font_size)
    return common_size(labels, Weight.REGULAR, room, spec.font_size)


class Prepared(NamedTuple):
    picture: Image.Image | UnreadableImageError
    has_more_frames: bool


@contextlib.contextmanager
def _prepared_pictures(
    spec: JobSpec, entries: Sequence[SheetEntry], threads: int
) -> Iterator[Iterator[Prepared]]:
    """The entries' pictures in order, decoded by threads that stay just ahead of the reader."""
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        prepare = partial(_prepare, spec, threads <= MOST_LOCKING_THREADS, DecodingMemory())
        waiting = (pool.submit(prepare, entry) for entry in entries)
        ahead = deque(islice(waiting, threads * LOOK_AHEAD))

        def in_order() -> Iterator[Prepared]:
            while ahead:
                picture = ahead.popleft().result()
                ahead.extend(islice(waiting, 1))
                yield picture

        try:
            yield in_order()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare(spec: JobSpec, hold_lock: bool, memory: DecodingMemory, entry: SheetEntry) -> Prepared:
    """The entry's picture at the size of its place, or why there is none."""
    has_more = False
    with entry.open() as file, memory.share() as claim:
        try:
            target = decode_target(spec)
            frame = open_first_frame(
                file, target, spec.resize_mode, hold_lock=hold_lock, claim=claim
            )
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


def _manifest_image(
    entry: SheetEntry,
    index: int,
    place: CellPlace,
    taken: Box | None,
    *,
    stacked_on: int | None = None,
) -> ManifestImage:
    return ManifestImage(
        index=index,
        name=entry.name,
        label=entry.label,
        label_source=entry.source,
        confidence=entry.confidence,
        page=place.page,
        row=place.row,
        col=place.col,
        cell=place.cell,
        picture=taken,
        stacked_on=stacked_on,
        reasons=entry.reasons,
        facets=entry.facets,
        model=entry.model,
        metadata=entry.metadata,
    )
