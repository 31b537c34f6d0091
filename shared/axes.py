"""An X/Y plot out of finished images: which value each row and each column stands for.

Pure and without pictures, so that the API can refuse before any work what it can know of.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Literal

from shared.column_values import column_value, number, value_key, value_text
from shared.csv_labels import FILENAME_COLUMNS
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import Axes
from shared.parameters import PARAMETERS
from shared.schemas import ManifestAxes, ManifestAxis

Values = Mapping[str, object]
"""All that is known of one image, by column."""

MAX_VALUES = 500
"""Of one axis; as many rows and columns as a spec may ask for."""

AUTO: Literal["auto"] = "auto"
LEAST_COVERAGE = 0.5
"""Share of the cells that must have an image before two columns are taken for the axes of a set."""
MAX_CANDIDATES = 24
"""Columns that `auto` looks at: their pairs are compared."""

Identity = Decimal | str


@dataclass(frozen=True, slots=True)
class AxisCell:
    item: int
    row: int
    """Of its page, from 0, as `col` is."""
    col: int


@dataclass(frozen=True, slots=True)
class AxisPage:
    rows: tuple[int, ...]
    """Which of the plan's rows it shows: those that it has images for."""
    cells: tuple[AxisCell, ...]
    """Row by row."""


@dataclass(frozen=True, slots=True)
class Axis:
    column: str | None
    values: tuple[str, ...]
    """In order; what stands for a missing value comes last. Empty texts where `column` is None."""


@dataclass(frozen=True, slots=True)
class AxisPlan:
    rows: Axis
    cols: Axis
    pages: tuple[AxisPage, ...]
    """The first holds the first image of every cell, the next one the second ones, and so on."""

    @property
    def shared_cells(self) -> int:
        """How many cells have more than one image."""
        return len(self.pages[1].cells) if len(self.pages) > 1 else 0

    def manifest(self) -> ManifestAxes:
        return ManifestAxes(
            rows=ManifestAxis(column=self.rows.column, values=self.rows.values),
            cols=ManifestAxis(column=self.cols.column, values=self.cols.values),
        )


def resolve_axes(asked: Axes | Literal["auto"] | None, values: Sequence[Values]) -> Axes | None:
    """What was asked for, or what `auto` finds; None where there are none."""
    return find_axes(values) if asked == AUTO else asked


def cell_keys(axes: Axes, values: Sequence[Values]) -> list[tuple[Identity, Identity]]:
    """What two images of one cell have in common, for each image."""
    return [(_identity(row, axes.rows_by), _identity(row, axes.cols_by)) for row in values]


def plan_axes(axes: Axes, values: Sequence[Values]) -> AxisPlan:
    """Place items, whose values are given in the order of the sheet.

    Numbers are sorted by size, other values in natural order. Items of one cell come on further
    pages: that keeps a third parameter, such as the seed, comparable page by page.

    Raises:
        GridscribeError: `too_many_values`, or `unknown_column` where no item has any.
    """
    rows, row_of = _axis("rows_by", axes.rows_by, values)
    cols, col_of = _axis("cols_by", axes.cols_by, values)
    if axes.rows_by is None:
        row_of = _ordinals(col_of)
        rows = _unnamed("rows_by", row_of)
    if axes.cols_by is None:
        col_of = _ordinals(row_of)
        cols = _unnamed("cols_by", col_of)
    return AxisPlan(
        rows, cols, tuple(_pages(list(zip(row_of, col_of, strict=True)), len(rows.values)))
    )


def foreseen_axes(
    asked: Axes | Literal["auto"] | None, values: Sequence[Values]
) -> AxisPlan | None:
    """The plan as far as it is known before any file was read, so that the API can refuse it.

    None where it is not: some columns only the files themselves can answer, for some images.
    """
    axes = resolve_axes(asked, values)
    if axes is None:
        return None
    for name in filter(None, (axes.rows_by, axes.cols_by)):
        told = [bool(value_text(column_value(row, name))) for row in values]
        if not (all(told) if name.casefold() in PARAMETERS else any(told)):
            return None
    return plan_axes(axes, values)


def axes_of_size(rows: int, cols: int, count: int) -> AxisPlan:
    """A plan without values whose cells are taken row by row: for a preview."""
    places = [divmod(item % (rows * cols), cols) for item in range(count)]
    row_axis, col_axis = Axis("rows", ("",) * rows), Axis("columns", ("",) * cols)
    return AxisPlan(row_axis, col_axis, tuple(_pages(places, rows)))


def find_axes(values: Sequence[Values]) -> Axes | None:
    """The two columns that best explain `values` as a full grid, if any do.

    A pair scores with the share of its cells that have an image times the share of the images that
    have a cell of their own: 1 for a complete plot. The column with more values runs to the right.
    """
    best: tuple[float, str, str] | None = None
    for (name, codes), (other, other_codes) in combinations(_candidates(values).items(), 2):
        count, other_count = max(codes) + 1, max(other_codes) + 1
        cells = count * other_count
        taken = len(set(zip(codes, other_codes, strict=True)))
        if taken < cells * LEAST_COVERAGE:
            continue
        score = taken / cells * taken / len(values)
        if best is None or score > best[0]:
            rows, cols = (other, name) if count >= other_count else (name, other)
            best = score, rows, cols
    return Axes(rows_by=best[1], cols_by=best[2]) if best else None


def _candidates(values: Sequence[Values]) -> dict[str, tuple[int, ...]]:
    """Columns that every image has and that vary, each with its values as numbers from 0.

    Of columns that divide the images alike, such as a model and its hash, the first one counts.
    """
    found: dict[tuple[int, ...], str] = {}
    for name in values[0] if values else ():
        if name.casefold() in FILENAME_COLUMNS or len(found) == MAX_CANDIDATES:
            continue
        texts = [value_text(row.get(name)) for row in values]
        if not all(texts):
            continue
        numbers: dict[Identity, int] = {}
        codes = tuple(numbers.setdefault(_same(text), len(numbers)) for text in texts)
        if 2 <= len(numbers) <= MAX_VALUES:
            found.setdefault(codes, name)
    return {name: codes for codes, name in found.items()}


def _axis(field: str, column: str | None, values: Sequence[Values]) -> tuple[Axis, list[int]]:
    """The axis of `column` and each item's position on it."""
    if column is None:
        return Axis(None, ()), []
    texts: dict[Identity, str] = {}
    for row in values:
        text = value_text(column_value(row, column))
        texts.setdefault(_same(text), text)
    if not any(texts.values()):
        detail = f"no image has a value for {column!r}"
        raise GridscribeError(
            ErrorCode.UNKNOWN_COLUMN,
            f"axes.{field}: {detail}",
            errors=[ErrorLocation(f"spec.axes.{field}", detail)],
        )
    _check_count(field, len(texts), f"{column!r} has {len(texts)} values")
    ordered = sorted(texts, key=lambda same: value_key(texts[same]))
    position = {same: at for at, same in enumerate(ordered)}
    headers = tuple(texts[same] or f"no {column}" for same in ordered)
    return Axis(column, headers), [position[_identity(row, column)] for row in values]


def _unnamed(field: str, positions: Sequence[int]) -> Axis:
    longest = max(positions) + 1
    _check_count(field, longest, f"{longest} images have the same value")
    return Axis(None, ("",) * longest)


def _check_count(field: str, count: int, what: str) -> None:
    if count <= MAX_VALUES:
        return
    detail = f"{what}; an axis can have {MAX_VALUES}: choose another column"
    raise GridscribeError(
        ErrorCode.TOO_MANY_VALUES,
        f"axes.{field}: {detail}",
        errors=[ErrorLocation(f"spec.axes.{field}", detail)],
    )


def _identity(row: Values, column: str | None) -> Identity:
    return "" if column is None else _same(value_text(column_value(row, column)))


def _same(text: str) -> Identity:
    """7, 7.0 and 07 are one value; texts differ by every character."""
    parsed = number(text)
    return text if parsed is None else parsed


def _ordinals(positions: Sequence[int]) -> list[int]:
    """How many items before each one have the same position."""
    seen: defaultdict[int, int] = defaultdict(int)
    ordinals = []
    for position in positions:
        ordinals.append(seen[position])
        seen[position] += 1
    return ordinals


def _pages(places: Sequence[tuple[int, int]], row_count: int) -> Iterator[AxisPage]:
    """Items by their row and column, the second one of a cell on the second page."""
    layers: list[dict[tuple[int, int], int]] = []
    depths: defaultdict[tuple[int, int], int] = defaultdict(int)
    for item, place in enumerate(places):
        depth = depths[place]
        depths[place] += 1
        if depth == len(layers):
            layers.append({})
        layers[depth][place] = item
    for depth, layer in enumerate(layers):
        rows = tuple(sorted({row for row, _ in layer})) if depth else tuple(range(row_count))
        position = {row: at for at, row in enumerate(rows)}
        cells = (AxisCell(item, position[row], col) for (row, col), item in sorted(layer.items()))
        yield AxisPage(rows, tuple(cells))
