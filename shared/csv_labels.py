"""The CSV that says what is known of each image: reading it, and finding each image's row."""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.csv_text import bad_csv, csv_text
from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import Axes, CsvEncoding, JobSpec
from shared.parameters import PARAMETERS
from shared.schemas import JobWarning

FILENAME_COLUMNS = ("filename", "file_name", "file", "image")
"""Headers that name the image, in any case; the first one of these that is there counts."""

MAX_ROWS = 100_000
MAX_COLUMNS = 256
MAX_COLUMN_NAME = 200
MAX_VALUE = 10_000
_GUESSED = (
    "the CSV is not UTF-8 and was read as windows-1252; if its labels look wrong, save it as UTF-8"
)
_LISTED = 5  # so that a message stays readable however long the list is


@dataclass(frozen=True, slots=True)
class CsvRow:
    line: int
    """The line in the file on which the row begins, from 1."""
    filename: str
    values: dict[str, str]
    """Every named column, the one with the file name too; without surrounding spaces."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]
    is_guessed: bool = False
    """Whether it was read as Windows-1252 because it is nothing that tells itself."""


@dataclass(frozen=True, slots=True)
class CsvMatch:
    rows: tuple[dict[str, str] | None, ...]
    """The values for each image, in the order of the images; None where no row names it."""
    warnings: tuple[JobWarning, ...]


def filename_column(columns: Sequence[str]) -> str | None:
    """The column that names the image, or None where there is none."""
    by_folded = {column.casefold(): column for column in reversed(columns)}
    return next((by_folded[name] for name in FILENAME_COLUMNS if name in by_folded), None)


def parse_csv(data: bytes, encoding: CsvEncoding | None = None) -> CsvTable:
    """Read UTF-8, UTF-16 or Windows-1252, separated by comma, semicolon or tab.

    The first two tell themselves, with a byte order mark or without. Text that is neither is taken
    for Windows-1252, which has Latin-1's letters, and the table says that this was a guess; nothing
    that has a mark, valid letters of UTF-8 or control characters is guessed at.
    Blank rows and columns without a header are left out: spreadsheets and data frames write both.
    Raises `GridscribeError` with BAD_CSV, naming the line, for anything that cannot be read safely.
    """
    text, is_guessed = csv_text(data, encoding)
    delimiter, header = _find_header(text)
    columns = _check_header(header)
    key = filename_column(columns)
    if key is None:
        found = _quoted(columns) or "nothing"
        raise bad_csv(f"line 1 has no column 'filename' to match images by; it names {found}")

    rows: list[CsvRow] = []
    for line, cells in _records(text, delimiter):
        if line == 1 or not any(cells):
            continue
        if len(rows) == MAX_ROWS:
            raise bad_csv(
                f"line {line}: more than {MAX_ROWS} rows; leave out those without an image"
            )
        values = _row_values(line, header, cells)
        rows.append(CsvRow(line, values[key], values))
    return CsvTable(columns, tuple(rows), is_guessed)


def match_rows(table: CsvTable, names: Sequence[str]) -> CsvMatch:
    """Find each image's row: by full name, else base name, else stem; then again ignoring case.

    A row that is taken on a stricter level is not there for a looser one, so `a.jpg` does not get
    the row of an `a.png` that is among the images too.
    """
    matched: list[CsvRow | None] = [None] * len(names)
    claimed: set[int] = set()
    warnings: list[JobWarning] = []
    for key_of in _MATCH_KEYS:
        if None not in matched:
            break
        free: dict[str, list[CsvRow]] = {}
        for row in table.rows:
            if row.line not in claimed and row.filename:
                free.setdefault(key_of(row.filename), []).append(row)
        for index, name in enumerate(names):
            if matched[index] is not None or not (rows := free.get(key_of(name))):
                continue
            matched[index] = rows[0]
            claimed.update(row.line for row in rows)
            if len(rows) > 1:
                lines = _listed([str(row.line) for row in rows])
                detail = f"{name}: lines {lines} of the CSV name it; line {rows[0].line} is used"
                warnings.append(JobWarning(code="csv_duplicate_row", detail=detail, image=index))
    orphans = [row for row in table.rows if row.line not in claimed]
    if orphans:
        which = _listed([f"{row.line} ({row.filename!r})" for row in orphans])
        detail = f"no image for {len(orphans)} row(s) of the CSV: line {which}"
        warnings.append(JobWarning(code="csv_row_without_image", detail=detail))
    if table.is_guessed:
        warnings.append(JobWarning(code="csv_encoding_guessed", detail=_GUESSED))
    return CsvMatch(tuple(row.values if row else None for row in matched), tuple(warnings))


def check_columns(
    spec: JobSpec, table: CsvTable | None, metadata: Sequence[Mapping[str, object]]
) -> None:
    """Raise `GridscribeError` with UNKNOWN_COLUMN where the spec names a column that
    neither the CSV nor any image's metadata has, and no file can have. Without a CSV nothing is
    checked: what an image lacks is a warning on the job.
    """
    if table is None:
        return
    known = dict.fromkeys(table.columns)
    for entry in metadata:
        known.update(dict.fromkeys(entry))
    folded = {column.casefold() for column in (*known, *PARAMETERS)}
    unknown = [
        (at, column) for at, column in _asked_columns(spec) if column.casefold() not in folded
    ]
    if unknown:
        field = unknown[0][0].partition("[")[0]
        in_files = ", ".join(PARAMETERS)
        there = f"there are {_quoted(tuple(known))}, and files may carry {in_files}"
        raise GridscribeError(
            ErrorCode.UNKNOWN_COLUMN,
            f"{field}: no column {_quoted([column for _, column in unknown])}; {there}",
            errors=[
                ErrorLocation(f"spec.{at}", f"no column {column!r}; {there}")
                for at, column in unknown
            ],
        )


def _asked_columns(spec: JobSpec) -> list[tuple[str, str]]:
    """Every column that the spec names, after the field that names it."""
    labels = () if spec.has_smart_labels else spec.labels
    asked = [(f"labels[{at}]", column) for at, column in enumerate(labels)]
    if isinstance(spec.axes, Axes):
        asked.append(("axes.rows_by", spec.axes.rows_by or ""))
        asked.append(("axes.cols_by", spec.axes.cols_by or ""))
    if spec.sort and spec.sort.startswith("column:"):
        asked.append(("sort", spec.sort.removeprefix("column:")))
    return [(field, column) for field, column in asked if column]


def _find_header(text: str) -> tuple[str, list[str]]:
    """The delimiter under which line 1 names the file column, else the one giving most columns."""
    headers: list[tuple[str, list[str]]] = []
    failure: GridscribeError | None = None
    for delimiter in ",;\t":
        try:
            headers.append((delimiter, next(_records(text, delimiter))[1]))
        except GridscribeError as error:
            failure = failure or error
    best = max(headers, key=lambda it: (_names_file(it[1]), len(it[1])), default=None)
    if best and (_names_file(best[1]) or not failure):
        return best
    raise failure or bad_csv("line 1 cannot be read")


def _names_file(header: Sequence[str]) -> bool:
    return filename_column(header) is not None


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise bad_csv(
            f"line {line}: {error}; a value that holds the delimiter, a line break or a quote"
            ' stands in double quotes, and a quote in it is written twice ("")'
        ) from error


def _check_header(header: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(column for column in header if column)
    twice = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
    if len(header) > MAX_COLUMNS:
        raise bad_csv(f"line 1 names {len(header)} columns; at most {MAX_COLUMNS} are read")
    if twice:
        raise bad_csv(f"line 1 names {_quoted(twice)} more than once; rename one")
    if longest := next((column for column in columns if len(column) > MAX_COLUMN_NAME), None):
        raise bad_csv(
            f"line 1: the column name {longest[:40]!r}... has {len(longest)} characters;"
            f" at most {MAX_COLUMN_NAME} are read"
        )
    return columns


def _row_values(line: int, header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    width = len(header)
    if len(cells) < width or any(cells[width:]):
        raise bad_csv(
            f"line {line} has {len(cells)} value(s), but line 1 names {width} column(s);"
            " a value that holds the delimiter stands in double quotes"
        )
    for column, cell in zip(header, cells, strict=False):
        if len(cell) > MAX_VALUE:
            raise bad_csv(
                f"line {line}, column {column!r}: {len(cell)} characters; at most {MAX_VALUE}"
            )
    return {column: cell for column, cell in zip(header, cells, strict=False) if column}


def _full(name: str) -> str:
    # A name typed on one system and a name listed by another may differ in how accents are coded.
    return unicodedata.normalize("NFC", name.replace("\\", "/")).strip().removeprefix("./")


def _base(name: str) -> str:
    return _full(name).rpartition("/")[2]


def _stem(name: str) -> str:
    base = _base(name)
    return base.rpartition(".")[0] or base


_MATCH_KEYS: tuple[Callable[[str], str], ...] = (
    _full,
    _base,
    _stem,
    lambda name: _full(name).casefold(),
    lambda name: _base(name).casefold(),
    lambda name: _stem(name).casefold(),
)


def _quoted(names: Sequence[str]) -> str:
    return _listed([repr(name[:40]) for name in names])


def _listed(items: Sequence[str]) -> str:
    rest = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
