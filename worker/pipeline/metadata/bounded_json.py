"""JSON out of hostile files: a document, or nothing."""

import json
import math
from typing import Any

MAX_DIGITS = 20
"""Of a whole number; seeds have 64 bits, which is 20."""


def parse_object(text: str | None) -> dict[str, Any]:
    """The object that `text` is; empty for anything else, also for one nested too deep to read.

    NaN, infinite and overlong numbers become None: some tools write the first, none means them.
    """
    if not text or not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return {}
    try:
        found = json.loads(
            text.lstrip("\ufeff"),
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_nothing,
            strict=False,  # line breaks within strings are common in prompts
        )
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def object_of(value: object) -> dict[str, Any]:
    """`value` where it is an object, or the text of one; else empty."""
    if isinstance(value, str):
        return parse_object(value)
    return value if isinstance(value, dict) else {}


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _nothing(constant: str) -> None:
    del constant
