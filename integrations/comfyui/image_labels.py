"""From the label and metadata inputs to the CSV that the service takes."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .sheet_order import SheetError

FILENAME = "filename"
LABEL = "label"


def parse_labels(texts: Sequence[str], count: int) -> list[str]:
    """One label an image, empty where none is given.

    Args:
        texts: One text with a line an image, or, from a node that gives a list, one text an image.
        count: How many images there are.

    Raises:
        SheetError: there are more labels than images.
    """
    labels = texts[0].rstrip().splitlines() if len(texts) == 1 else list(texts)
    if len(labels) > count:
        raise SheetError(
            f"labels: {len(labels)} for {count} image(s); give one line an image"
            " (an empty one for none)"
        )
    labels = [label.strip() for label in labels]
    return labels + [""] * (count - len(labels))


def parse_metadata(texts: Sequence[str], count: int | None = None) -> list[dict[str, Any]]:
    """One object an image: key to any JSON value.

    Args:
        texts: One JSON text, an object for all images or a list of one object (or null) an image;
            or, from a node that gives a list, one JSON object an image.
        count: How many images there are; None where that is not known yet.

    Raises:
        SheetError: it is no such JSON, or does not fit the number of images.
    """
    if len(texts) == 1:
        value = _parse_json(texts[0], "metadata")
        if isinstance(value, dict):
            return [value] * (count or 1)
        entries = [] if value is None else value
        if not isinstance(entries, list):
            raise SheetError(
                "metadata: neither a JSON list of objects nor an object, but"
                f" {json.dumps(value)[:40]}"
            )
    else:
        entries = [_parse_json(text, f"metadata[{at}]") for at, text in enumerate(texts)]
    for at, entry in enumerate(entries):
        if not isinstance(entry, dict | None):
            raise SheetError(
                f'metadata[{at}]: not a JSON object like {{"seed": 1}}, but'
                f" {json.dumps(entry)[:40]}"
            )
    if count is not None and len(entries) > count:
        raise SheetError(
            f"metadata: {len(entries)} objects for {count} image(s); give one an image"
        )
    missing = max((count or 0) - len(entries), 0)
    return [entry or {} for entry in entries] + [{}] * missing


def label_table(
    files: Sequence[Path], labels: Sequence[str], metadata: Sequence[dict[str, Any]]
) -> bytes | None:
    """A CSV with the columns `filename`, `label` and the metadata's keys; None when all is empty.

    A label given as such wins over one in the metadata. An image of which nothing is known has no
    row.
    """
    rows = []
    for file, label, values in zip(files, labels, metadata, strict=True):
        row = {key.strip(): _cell(value) for key, value in values.items() if key.strip()}
        if label:
            row[LABEL] = label
        if any(row.values()):
            # What the service matches by; a name that the metadata has is another one.
            rows.append({**row, FILENAME: file.name})
    if not rows:
        return None
    columns = list(dict.fromkeys([FILENAME, *(column for row in rows for column in row)]))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _parse_json(text: str, place: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SheetError(
            f"{place}: not valid JSON ({error}); write it like"
            ' [{"prompt": "a fox", "seed": 1}, {"prompt": "an owl", "seed": 2}]'
        ) from error


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
