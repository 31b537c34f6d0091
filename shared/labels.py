"""Which text stands under an image, where it comes from, and why no better source gave it.

The order: CSV row, what the request says of the image, what its file says, CLIP, filename.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Protocol

from shared.column_values import column_value, value_text
from shared.csv_labels import filename_column
from shared.job_spec import JobSpec
from shared.parameters import PARAMETERS
from shared.schemas import ImageCaption, JobWarning, LabelSource

LABEL_COLUMNS = ("label", "caption", "title", "prompt")
"""Where no column is asked for, the first of these that has a value is the label."""

NOTHING: Mapping[str, object] = MappingProxyType({})


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

    @property
    def correction(self) -> str | None: ...


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


def needs_caption(
    image: DescribedImage, spec: JobSpec, embedded: Mapping[str, object] = NOTHING
) -> bool:
    """Whether CLIP is to be asked: it was wanted, and no better source labels the image.

    On submission nobody has looked into the file; a worker that has asks again.
    """
    if image.correction:
        return False
    if spec.has_smart_labels:
        # Whether what is known varies, the whole sheet tells; nearly always something does.
        return spec.use_clip and not merged_values(known_values(image, embedded))
    return spec.use_clip and _described(image, spec, embedded) is None


def compares_features(spec: JobSpec) -> bool:
    """Whether every picture goes through the model, be it labeled or not, to be compared."""
    return spec.sort == "similarity" or (spec.stack_duplicates and spec.use_clip)


def resolve_label(
    image: DescribedImage,
    spec: JobSpec,
    caption: ImageCaption | None,
    *,
    has_csv: bool,
    embedded: Mapping[str, object] = NOTHING,
) -> ResolvedLabel:
    """The label of the first source that has one.

    A column that it lacks is taken from the sources after it, short of CLIP.

    Args:
        caption: None where CLIP was not asked.
        embedded: The parameters in the file itself.
    """
    if image.correction:
        return ResolvedLabel(image.correction, LabelSource.REQUEST)
    described = _described(image, spec, embedded)
    source = described.source if described else None
    falls: list[Fall] = []
    if has_csv and source is not LabelSource.CSV:
        falls.append(csv_fall(image, spec))
    if spec.labels and _lacks_metadata(image, spec, source, has_csv=has_csv):
        falls.append(Fall("no_metadata", f"its metadata has no {_columns(spec)}"))
    if described:
        return replace(described, falls=tuple(falls))
    return guessed_label(image, spec, caption, falls)


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


KnownValues = tuple[tuple[LabelSource, dict[str, str]], ...]
"""What CSV, request and file say of an image, in this order, by column."""


def known_values(image: DescribedImage, embedded: Mapping[str, object]) -> KnownValues:
    """Empty values are left out, and so is the CSV's column that names the image."""
    row = image.csv_row or {}
    key = filename_column(tuple(row))
    told: tuple[tuple[LabelSource, Mapping[str, object]], ...] = (
        (LabelSource.CSV, {column: value for column, value in row.items() if column != key}),
        (
            LabelSource.REQUEST,
            {**image.metadata, **({"label": image.label} if image.label else {})},
        ),
        (LabelSource.EMBEDDED, embedded),
    )
    return tuple(
        (
            source,
            {_usual(name): text for name, value in values.items() if (text := value_text(value))},
        )
        for source, values in told
    )


def _usual(name: str) -> str:
    """A name that is known in lower case, so; any other as it is."""
    folded = name.casefold()
    return folded if folded in PARAMETERS or folded in LABEL_COLUMNS else name


def merged_values(known: KnownValues) -> dict[str, str]:
    """Each column's value from the best source that has one."""
    merged: dict[str, str] = {}
    for _, values in reversed(known):
        merged |= values
    return merged


def known_metadata(image: DescribedImage, embedded: Mapping[str, object]) -> dict[str, object]:
    """Each column's value from the best source that has one, as it came; of names that differ in
    case alone, the better source's."""
    merged: dict[str, object] = {}
    for values in (embedded, image.metadata, image.csv_row or {}):
        told = {name.casefold() for name, value in values.items() if value_text(value)}
        kept = {name: value for name, value in merged.items() if name.casefold() not in told}
        merged = {**values, **kept}
    return merged


def _described(
    image: DescribedImage, spec: JobSpec, embedded: Mapping[str, object]
) -> ResolvedLabel | None:
    """What CSV, request and file say; None where they say nothing that was asked for."""
    row = image.csv_row or {}
    label = (image.label or "").strip()
    if not spec.labels and (text := _telling_text(row)):
        return ResolvedLabel(text, LabelSource.CSV)
    if text := _asked_text(spec, row):
        return ResolvedLabel(_asked_text(spec, row, image.metadata, embedded), LabelSource.CSV)
    if label:
        return ResolvedLabel(label, LabelSource.REQUEST)
    if text := _asked_text(spec, image.metadata):
        return ResolvedLabel(_asked_text(spec, image.metadata, embedded), LabelSource.REQUEST)
    if text := _asked_text(spec, embedded):
        return ResolvedLabel(text, LabelSource.EMBEDDED)
    return None


def guessed_label(
    image: DescribedImage, spec: JobSpec, caption: ImageCaption | None, falls: list[Fall]
) -> ResolvedLabel:
    """CLIP's label, else the file's name."""
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


def _telling_text(row: Mapping[str, str]) -> str:
    by_folded = {column.casefold(): value for column, value in row.items() if value}
    preferred = next((by_folded[name] for name in LABEL_COLUMNS if name in by_folded), None)
    if preferred is not None:
        return preferred
    key = filename_column(tuple(row))
    rest = {column: value for column, value in row.items() if value and column != key}
    return next(iter(rest.values())) if len(rest) == 1 else _lines(rest)


def _asked_text(spec: JobSpec, *sources: Mapping[str, object]) -> str:
    """One asked column's value alone, several as `column: value` lines; empty ones left out."""
    asked = {
        column: next(
            filter(None, (value_text(column_value(source, column)) for source in sources)), ""
        )
        for column in spec.labels
    }
    if len(asked) == 1:
        return next(iter(asked.values()))
    return _lines({column: text for column, text in asked.items() if text})


def _lacks_metadata(
    image: DescribedImage, spec: JobSpec, source: LabelSource | None, *, has_csv: bool
) -> bool:
    """Whether metadata was to give the label, as far as one can tell, and did not."""
    if source is None:
        asks_file = any(column in PARAMETERS for column in spec.labels)
        return bool(image.metadata) or not has_csv or asks_file
    return source is LabelSource.EMBEDDED and bool(image.metadata)


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{column}: {value}" for column, value in values.items())


def csv_fall(image: DescribedImage, spec: JobSpec) -> Fall:
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
