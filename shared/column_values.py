"""The values of a column, as text and in the order that people expect."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

_DIGITS = re.compile(r"([0-9]+)")

NaturalKey = tuple[str | tuple[int, str], ...]
ValueKey = tuple[int, Decimal, NaturalKey]


def value_text(value: object) -> str:
    """A CSV's, a request's or a file's value as it is drawn; empty where there is none."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def column_value(values: Mapping[str, object], name: str) -> object:
    """The value under that name, else under the same name in another case, else None."""
    if name in values:
        return values[name]
    folded = name.casefold()
    return next((value for key, value in values.items() if key.casefold() == folded), None)


def number(text: str) -> Decimal | None:
    """Exact, because seeds have up to 20 digits; None for what is no finite number."""
    try:
        parsed = Decimal(text)
    except InvalidOperation:
        return None
    return parsed if parsed.is_finite() else None


def natural_key(text: str) -> NaturalKey:
    """Sorts `img_2` before `img_10`, whatever the case and however many the digits."""
    parts = _DIGITS.split(text.casefold())
    return tuple(
        (len(digits := part.lstrip("0")), digits) if at % 2 else part
        for at, part in enumerate(parts)
    )


def value_key(text: str) -> ValueKey:
    """Sorts numbers by size, then other texts in natural order, and what is empty last."""
    if not text:
        return 2, Decimal(0), ()
    parsed = number(text)
    if parsed is not None:
        return 0, parsed, ()
    return 1, Decimal(0), natural_key(text)
