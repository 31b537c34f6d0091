"""The local mode: the worker's own pipeline on local files, with no server and no queue.

Pillow and torch are imported when they are needed, for the client alone does without.
"""

import contextlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gridscribe.image_files import InputError
from gridscribe.sheet_files import page_path, written_whole
from shared.csv_labels import CsvMatch, check_columns, match_rows, parse_csv
from shared.job_spec import JobSpec
from shared.parameters import Parameters
from shared.schemas import ImageCaption, Manifest, Stage
from shared.settings import Settings
from shared.sheet_labels import resolve_labels
from shared.templates import apply_template

if TYPE_CHECKING:
    from worker.captioning.captioning import Captioning
    from worker.pipeline.metadata.embedded import Embedded

OnProgress = Callable[[Stage, int, int], None]
"""Called with the stage, the images done in it, and how many there are."""

_PICTURES_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class LocalImage:
    """A file with what is known of it, as `shared.labels` wants it."""

    path: Path
    csv_row: Mapping[str, str] | None
    label: None = None
    correction: None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> BinaryIO:
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class LocalSheet:
    pages: tuple[Path, ...]
    manifest: Manifest


def make_sheet(
    spec: JobSpec,
    paths: Sequence[Path],
    output: Path,
    *,
    csv: Path | None = None,
    captioning: "Captioning | None" = None,
    on_progress: OnProgress,
) -> LocalSheet:
    """Label the images at `paths` and write their sheet as `output`, further pages beside it.

    `captioning` is needed where `spec.use_clip` is set or pictures are compared. Raises
    `GridscribeError` as the service would answer it, and `InputError` when Pillow is not installed.
    """
    with needs_extra("compose"):
        from worker.pipeline.entries import sheet_entries
        from worker.pipeline.metadata.embedded import read_embedded
        from worker.pipeline.render import render_sheet

    spec = apply_template(spec)
    match = _match_csv(spec, csv, [path.name for path in paths])
    rows = match.rows if match else (None,) * len(paths)
    images = [LocalImage(path, row) for path, row in zip(paths, rows, strict=True)]
    embedded: list[Embedded] = []
    for image in images:
        with image.open() as file:
            embedded.append(read_embedded(file))
    parameters = [each.parameters for each in embedded]
    captions: dict[int, ImageCaption] = {}
    if captioning:
        captions = caption_images(spec, images, parameters, captioning, on_progress)

    labels = resolve_labels(images, spec, captions, has_csv=match is not None, embedded=parameters)
    openers = [image.open for image in images]
    entries, fallen = sheet_entries(images, labels.labels, captions, embedded, openers)
    warnings = (*(match.warnings if match else ()), *fallen)

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gridscribe-") as folder:
        sheet = render_sheet(
            spec,
            entries,
            Path(folder),
            max_pixels=Settings().max_sheet_pixels,
            header=labels.header,
            threads=os.cpu_count() or 1,
            progress=lambda done: on_progress(Stage.COMPOSING, done, len(entries)),
        )
        pages = tuple(page_path(output, number) for number in range(1, len(sheet.pages) + 1))
        for page, target in zip(sheet.pages, pages, strict=True):
            with page.path.open("rb") as source, written_whole(target) as file:
                shutil.copyfileobj(source, file)
    told = (*warnings, *sheet.manifest.warnings)
    return LocalSheet(pages, sheet.manifest.model_copy(update={"warnings": told}))


def caption_images(
    spec: JobSpec,
    images: Sequence[LocalImage],
    embedded: Sequence[Parameters],
    captioning: "Captioning",
    on_progress: OnProgress,
) -> dict[int, ImageCaption]:
    """Captions by the index of their image: those that nothing else labels, or all.

    `embedded` are the parameters in each image's file. Raises `GridscribeError` UNKNOWN_VOCABULARY.
    """
    from worker.caption_requests import caption_request
    from worker.captioning.wording import Wording

    requests = {
        index: request
        for index, image in enumerate(images)
        if (request := caption_request(spec, image, embedded[index]))
    }
    Wording.of(spec).terms(Settings().vocabularies_dir)  # refuses an unknown one once, for all
    captions: dict[int, ImageCaption] = {}
    in_flight: deque[tuple[int, Future[ImageCaption]]] = deque()

    def take_oldest() -> None:
        index, future = in_flight.popleft()
        captions[index] = future.result()
        on_progress(Stage.CAPTIONING, len(captions), len(requests))

    for index, request in requests.items():
        in_flight.append((index, captioning.submit_file(images[index].path, request)))
        if len(in_flight) >= _PICTURES_IN_FLIGHT:
            take_oldest()
    while in_flight:
        take_oldest()
    return captions


@contextlib.contextmanager
def local_captioning(model: str | None) -> Iterator["Captioning"]:
    """A loaded captioning model: `model`, else the first of the setting `clip_models`.

    Raises `InputError` when the packages it takes are not installed.
    """
    with needs_extra("caption"):
        from worker.caption_process import captioning_config
        from worker.captioning.captioning import Captioning

        settings = Settings()
        if model:
            settings = settings.model_copy(update={"clip_models": (model,)})
        captioning = Captioning(captioning_config(settings))
        captioning.load()
    try:
        yield captioning
    finally:
        captioning.close()


def _match_csv(spec: JobSpec, csv: Path | None, names: Sequence[str]) -> CsvMatch | None:
    if csv is None:
        return None
    table = parse_csv(csv.read_bytes(), spec.csv_encoding)
    check_columns(spec, table, [])
    return match_rows(table, names)


@contextlib.contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Say which extra is missing when an import fails."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{error}: working without a server needs more packages;"
            f" install them with: pip install 'gridscribe[{name}]'"
        ) from error
