"""From images, their labels and captions to the entries of a sheet."""

from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from shared.labels import DescribedImage, ResolvedLabel, known_metadata, label_warnings
from shared.schemas import ImageCaption, JobWarning
from worker.pipeline.metadata.embedded import Embedded
from worker.pipeline.metadata.text_fields import MAX_TEXT_BYTES
from worker.pipeline.render import SheetEntry


def sheet_entries(
    images: Sequence[DescribedImage],
    labels: Sequence[ResolvedLabel],
    captions: Mapping[int, ImageCaption],
    embedded: Sequence[Embedded],
    openers: Sequence[Callable[[], BinaryIO]],
) -> tuple[list[SheetEntry], tuple[JobWarning, ...]]:
    """What the sheet shows of each image, and a warning for each source that gave no label.

    And one for each image whose file has more to say than is read.

    All sequences have one item an image; `captions` goes by an image's index.
    """
    entries: list[SheetEntry] = []
    warnings: list[JobWarning] = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        caption = captions.get(index)
        warnings += label_warnings(index, image.name, label)
        if embedded[index].too_long:
            warnings.append(_left_out(index, image.name, embedded[index].too_long))
        entries.append(
            SheetEntry(
                name=image.name,
                label=label.text,
                source=label.source,
                confidence=label.confidence,
                reasons=tuple(fall.detail for fall in label.falls),
                facets=caption.facets if caption else {},
                model=caption.model if caption else None,
                features=caption.features if caption else None,
                metadata=known_metadata(image, embedded[index].parameters),
                open=openers[index],
            )
        )
    return entries, tuple(warnings)


def _left_out(index: int, name: str, too_long: Sequence[str]) -> JobWarning:
    detail = (
        f"{name!r} carries more text than is read, {MAX_TEXT_BYTES // 2**20} MiB each: "
        f"{', '.join(map(repr, too_long))}; the picture is drawn without what that says"
    )
    return JobWarning(code="metadata_left_out", detail=detail, image=index)
