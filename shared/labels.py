"""Which text stands under an image, where it comes from, and why no better source gave it.

The order: CSV row, what the request says of the image, CLIP, filename.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from shared.column_values import value_text
from shared.csv_labels import filename_column
from shared.schemas import ImageCaption, JobSpec, JobWarning, LabelSource

LABEL_COLUMNS = ("label", "caption", "title", "prompt")
"""Where no column is asked for, the first of these that has a value is the label."""


class DescribedImage(Protocol):
    """What is known of an image beside its pixels; a `SourceImage` is one."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str | None: ...

    @property
    def metadata(self) -> Mapping[str, object]: ...

    @property
    def csv_row(self) -> Mapping[str, str] | None: ...


@dataclass(frozen=True, slots=True)
class Fall:
    """An asked source that did not give the label, or not as asked."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ResolvedLabel:
    text: str
    source: LabelSource
    confidence: float | None = None
    """0 to 1; only CLIP has one."""
    falls: tuple[Fall, ...] = ()
    """In the order of the sources."""


def needs_caption(image: DescribedImage, spec: JobSpec) -> bool:
    """Whether CLIP is to be asked: it was wanted, and neither CSV nor request label the image."""
    return spec.use_clip and not (_csv_text(image, spec) or _request_text(image, spec))


def compares_features(spec: JobSpec) -> bool:
    """Whether every picture goes through the model, be it labeled or not, to be compared."""
    return spec.sort == "similarity" or (spec.stack_duplicates and spec.use_clip)


def resolve_label(
    image: DescribedImage, spec: JobSpec, caption: ImageCaption | None, *, has_csv: bool
) -> ResolvedLabel:
    """The label of the first source that has one; `caption` is None where CLIP was not asked."""
    falls: list[Fall] = []
    if text := _csv_text(image, spec):
        return ResolvedLabel(text, LabelSource.CSV)
    if has_csv:
        falls.append(_csv_fall(image, spec))
    if text := _request_text(image, spec):
        return ResolvedLabel(text, LabelSource.REQUEST, falls=tuple(falls))
    if spec.labels and (image.metadata or not has_csv):
        falls.append(Fall("no_metadata", f"its metadata has no {_columns(spec)}"))
    if spec.use_clip:
        if caption is None:
            falls.append(Fall("no_caption", "CLIP was not asked"))
        else:
            falls += _caption_falls(caption)
            if caption.text:
                return ResolvedLabel(
                    caption.text, LabelSource.CLIP, caption.confidence, tuple(falls)
                )
    return ResolvedLabel(
        PurePosixPath(image.name).stem or image.name, LabelSource.FILENAME, falls=tuple(falls)
    )


def label_warnings(index: int, name: str, resolved: ResolvedLabel) -> tuple[JobWarning, ...]:
    """One warning a fall, saying whose label it was about and what the label is taken from."""
    return tuple(
        JobWarning(
            code=fall.code,
            detail=f"{name}: {fall.detail}; labeled from: {resolved.source}",
            image=index,
        )
        for fall in resolved.falls
    )


def _csv_text(image: DescribedImage, spec: JobSpec) -> str:
    row = image.csv_row
    if row is None:
        return ""
    if spec.labels:
        return _asked_text(row, spec)
    by_folded = {column.casefold(): value for column, value in row.items() if value}
    preferred = next((by_folded[name] for name in LABEL_COLUMNS if name in by_folded), None)
    if preferred is not None:
        return preferred
    key = filename_column(tuple(row))
    rest = {column: value for column, value in row.items() if value and column != key}
    return next(iter(rest.values())) if len(rest) == 1 else _lines(rest)


def _request_text(image: DescribedImage, spec: JobSpec) -> str:
    label = (image.label or "").strip()
    return label or _asked_text(image.metadata, spec)


def _asked_text(values: Mapping[str, object], spec: JobSpec) -> str:
    """One asked column's value alone, several as `column: value` lines; empty ones left out."""
    asked = {column: value_text(values.get(column)) for column in spec.labels}
    if len(asked) == 1:
        return next(iter(asked.values()))
    return _lines({column: text for column, text in asked.items() if text})


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{column}: {value}" for column, value in values.items())


def _csv_fall(image: DescribedImage, spec: JobSpec) -> Fall:
    if image.csv_row is None:
        return Fall("no_csv_row", "the CSV has no row for it")
    return Fall("empty_csv_row", f"its row of the CSV has no {_columns(spec)}")


def _caption_falls(caption: ImageCaption) -> list[Fall]:
    falls = []
    if caption.fallback and caption.text:
        falls.append(Fall("clip_fallback", caption.reason or "CLIP used another model"))
    if not caption.text:
        falls.append(Fall("clip_abstained", caption.reason or "CLIP was not sure"))
    return falls


def _columns(spec: JobSpec) -> str:
    return " or ".join(repr(column) for column in spec.labels) or "value to draw"
