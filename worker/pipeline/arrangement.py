"""Which images share a cell and in what order the cells come: sort, stacks and axes."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from shared.axes import AxisPlan, cell_keys, plan_axes, resolve_axes
from shared.column_values import (
    NaturalKey,
    ValueKey,
    column_value,
    natural_key,
    value_key,
    value_text,
)
from shared.errors import UnreadableImageError
from shared.job_spec import Axes, JobSpec
from shared.schemas import JobWarning
from worker.pipeline.fingerprint import Fingerprint
from worker.pipeline.image_features import FloatArray, chain, unpack
from worker.pipeline.pictures import open_picture

LEAST_LIKENESS = 0.95
"""Cosine of two pictures' features from which on they are stacked. With `starter`, the two views of
a stereo pair have 0.89 and a photo with one blurred hand of the clock in it has 0.96."""
FINGERPRINT_TARGET = (64, 64)
"""Pixels; small enough for a JPEG to be decoded at an eighth of its size."""

IsAlike = Callable[[int, int], bool]
"""Whether two images, by index, show the same."""


class ArrangedImage(Protocol):
    """What the arrangement needs to know of an image; a `SheetEntry` is one."""

    @property
    def name(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, object]: ...

    @property
    def model(self) -> str | None: ...

    @property
    def features(self) -> str | None: ...

    @property
    def open(self) -> Callable[[], BinaryIO]: ...


@dataclass(frozen=True, slots=True)
class Arrangement:
    stacks: tuple[tuple[int, ...], ...]
    """Indices of the images of each cell, the shown one first; every image is in one of them."""
    axes: AxisPlan | None
    """Its items are the stacks."""
    warnings: tuple[JobWarning, ...]


def arrange(
    spec: JobSpec, images: Sequence[ArrangedImage], *, threads: int, stop: Callable[[], bool]
) -> Arrangement:
    """Sort, then stack, then find the axes.

    Args:
        stop: Asked while pictures are opened; what comes back once it says True is of no use.

    Raises:
        GridscribeError: as `plan_axes` does.
    """
    warnings: list[JobWarning] = []
    features = _Features.of(images)
    order = list(range(len(images)))
    if spec.sort == "similarity":
        order = features.chained()
        if features.missing:
            warnings.append(_not_compared(features.missing))
    elif spec.sort:
        order.sort(key=lambda index: _sort_key(spec.sort or "", images[index]))
    values = [image.metadata for image in images]
    axes = resolve_axes(spec.axes, values)
    if spec.axes and not axes:
        warnings.append(_no_axes())
    stacks: list[tuple[int, ...]] = [(index,) for index in order]
    if spec.stack_duplicates:
        is_alike = features.alike if spec.use_clip else _copies(images, threads, stop)
        cells = cell_keys(axes, values) if axes else [None] * len(images)
        stacks = _stacked(order, is_alike, cells)
    plan = plan_axes(axes, [values[shown] for shown, *_ in stacks]) if axes else None
    if axes and plan:
        warnings += _axis_warnings(axes, plan, values)
    return Arrangement(tuple(stacks), plan, tuple(warnings))


def _sort_key(sort: str, image: ArrangedImage) -> NaturalKey | ValueKey:
    if sort == "name":
        return natural_key(image.name)
    return value_key(value_text(column_value(image.metadata, sort.removeprefix("column:"))))


@dataclass(frozen=True, slots=True)
class _Features:
    """Of those images that one model has seen, the model that has seen most of them."""

    rows: dict[int, int]
    """Index of an image to its row in `array`."""
    array: FloatArray | None
    count: int

    @classmethod
    def of(cls, images: Sequence[ArrangedImage]) -> "_Features":
        models = Counter(image.model for image in images if image.features)
        if not models:
            return cls({}, None, len(images))
        model = models.most_common(1)[0][0]
        packed = {
            index: image.features
            for index, image in enumerate(images)
            if image.features and image.model == model
        }
        rows = {index: row for row, index in enumerate(packed)}
        return cls(rows, unpack(list(packed.values())), len(images))

    @property
    def missing(self) -> int:
        return self.count - len(self.rows)

    def chained(self) -> list[int]:
        """Like next to like; those without features stay last, in their order."""
        indices = list(self.rows)
        compared = [] if self.array is None else [indices[row] for row in chain(self.array)]
        return compared + [index for index in range(self.count) if index not in self.rows]

    def alike(self, one: int, other: int) -> bool:
        if self.array is None or one not in self.rows or other not in self.rows:
            return False
        likeness = float(self.array[self.rows[one]] @ self.array[self.rows[other]])
        return likeness >= LEAST_LIKENESS


def _copies(images: Sequence[ArrangedImage], threads: int, stop: Callable[[], bool]) -> IsAlike:
    def fingerprint(image: ArrangedImage) -> Fingerprint | None:
        if stop():
            return None
        with image.open() as file:
            try:
                return Fingerprint.of(open_picture(file, FINGERPRINT_TARGET))
            except UnreadableImageError:  # it gets a place and a warning of its own later
                return None

    with ThreadPoolExecutor(threads, thread_name_prefix="fingerprint") as pool:
        found = list(pool.map(fingerprint, images))

    def is_alike(one: int, other: int) -> bool:
        first, second = found[one], found[other]
        return first is not None and second is not None and first.is_copy_of(second)

    return is_alike


def _stacked(
    order: Sequence[int], is_alike: IsAlike, cells: Sequence[Hashable]
) -> list[tuple[int, ...]]:
    """Each image joins the first stack of its axes' cell whose shown image is like it.

    Compared with the shown one alone, or a slow pan would end up as one stack.
    """
    stacks: list[list[int]] = []
    for index in order:
        for stack in stacks:
            if cells[stack[0]] == cells[index] and is_alike(stack[0], index):
                stack.append(index)
                break
        else:
            stacks.append([index])
    return [tuple(stack) for stack in stacks]


def _not_compared(count: int) -> JobWarning:
    detail = f"{count} image(s) could not be compared with the others and stand last"
    return JobWarning(code="not_compared", detail=detail)


def _no_axes() -> JobWarning:
    detail = "no two columns that every image has make a grid; name them in `axes` to have one"
    return JobWarning(code="no_axes_found", detail=detail)


def _axis_warnings(
    axes: Axes, plan: AxisPlan, values: Sequence[Mapping[str, object]]
) -> list[JobWarning]:
    warnings: list[JobWarning] = []
    for column in filter(None, (axes.rows_by, axes.cols_by)):
        missing = sum(not value_text(column_value(row, column)) for row in values)
        if missing:
            detail = (
                f"{missing} image(s) have no value for {column!r} and stand under 'no {column}'"
            )
            warnings.append(JobWarning(code="no_axis_value", detail=detail))
    if plan.shared_cells:
        detail = (
            f"{plan.shared_cells} cell(s) have more than one image; "
            f"the others are on pages 2 to {len(plan.pages)}"
        )
        warnings.append(JobWarning(code="shared_cells", detail=detail))
    return warnings
