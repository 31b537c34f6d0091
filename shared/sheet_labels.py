"""The labels of a whole sheet: one by one, or smart ones, which need to know all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.job_spec import JobSpec
from shared.labels import (
    DescribedImage,
    Fall,
    ResolvedLabel,
    csv_fall,
    guessed_label,
    known_values,
    merged_values,
    resolve_label,
)
from shared.schemas import ImageCaption, LabelSource
from shared.smart_labels import smart_labels


@dataclass(frozen=True, slots=True)
class SheetLabels:
    labels: tuple[ResolvedLabel, ...]
    """In the order of the images."""
    header: str = ""
    """What smart labels found to be the same for all images."""


def resolve_labels(
    images: Sequence[DescribedImage],
    spec: JobSpec,
    captions: Mapping[int, ImageCaption],
    *,
    has_csv: bool,
    embedded: Sequence[Mapping[str, object]],
) -> SheetLabels:
    """The labels of a whole sheet.

    Args:
        captions: By the index of their image, for those that CLIP was asked for.
        embedded: The parameters in each image's file.
    """
    if spec.has_smart_labels:
        return _smart(images, spec, captions, has_csv=has_csv, embedded=embedded)
    return SheetLabels(
        tuple(
            resolve_label(image, spec, captions.get(index), has_csv=has_csv, embedded=in_file)
            for index, (image, in_file) in enumerate(zip(images, embedded, strict=True))
        )
    )


def _smart(
    images: Sequence[DescribedImage],
    spec: JobSpec,
    captions: Mapping[int, ImageCaption],
    *,
    has_csv: bool,
    embedded: Sequence[Mapping[str, object]],
) -> SheetLabels:
    known = [known_values(image, in_file) for image, in_file in zip(images, embedded, strict=True)]
    smart = smart_labels([merged_values(values) for values in known])
    labels: list[ResolvedLabel] = []
    for index, (image, text) in enumerate(zip(images, smart.texts, strict=True)):
        if image.correction:
            labels.append(ResolvedLabel(image.correction, LabelSource.REQUEST))
            continue
        falls = [csv_fall(image, spec)] if has_csv and image.csv_row is None else []
        if text:
            # The best source that says anything of what varies.
            source = next(it for it, values in known[index] if smart.varying & values.keys())
            labels.append(ResolvedLabel(text, source, falls=tuple(falls)))
        else:
            if any(values for _, values in known[index]):
                falls.append(Fall("nothing_varies", "what is known of it is the same for all"))
            else:
                falls.append(Fall("no_metadata", "nothing is known of it but its name"))
            labels.append(guessed_label(image, spec, captions.get(index), falls))
    return SheetLabels(tuple(labels), smart.header)
