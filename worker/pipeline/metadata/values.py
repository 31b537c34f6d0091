"""Values as tools write them into values as Gridscribe shows them."""

import contextlib
import math
import re
from collections.abc import Iterable
from typing import Any

from shared.parameters import PARAMETERS, TEXT_PARAMETERS, Parameters

MAX_TEXT = 10_000
"""Characters of a value, as many as one of a CSV may have."""
MAX_SHORT_TEXT = 500
MAX_NUMBER = 2**64
MAX_LORAS = 50
NUMBERS = frozenset({"seed", "steps", "cfg"})
MODEL_SUFFIX = re.compile(r"\.(safetensors|ckpt|gguf|pth?|sft|bin)\Z", re.IGNORECASE)
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Controls, and lone surrogates, which no UTF-8 can hold."""


def parameters(**found: Any) -> Parameters:
    """The values of `PARAMETERS`, in that order; what is empty or of no use is left out.

    The tool alone is nothing: any document of the right shape names one.
    """
    kept: Parameters = {}
    for key in PARAMETERS:
        value = found.get(key)
        known = number(value) if key in NUMBERS else text(value, _limit(key))
        if known is not None and known != "":
            kept[key] = known
    return kept if kept.keys() - {"tool"} else {}


def number(value: object) -> int | float | None:
    """A finite number, whole where it is, from a number or its text; None for anything else."""
    if isinstance(value, str) and len(value) <= 40:
        with contextlib.suppress(ValueError):
            value = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if abs(value) >= MAX_NUMBER or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def text(value: object, limit: int = MAX_SHORT_TEXT) -> str:
    """`value` where it is text, or a number's text, as it can be stored and drawn; else empty."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return INVISIBLE.sub("", value[:limit]).strip() if isinstance(value, str) else ""


def model_name(value: object) -> str:
    """A model file's name without folders and suffix."""
    return MODEL_SUFFIX.sub("", text(value).replace("\\", "/").rpartition("/")[2])


def size(width: object, height: object) -> str:
    """`512x768`, in pixels; empty where a side is missing or absurd."""
    sides = number(width), number(height)
    if not all(isinstance(side, int) and 0 < side < 10**6 for side in sides):
        return ""
    return f"{sides[0]}x{sides[1]}"


def loras(found: Iterable[tuple[object, object]]) -> str:
    """`detail:0.8, style:1` from names and weights; a lost weight is left out."""
    shown = []
    for name, weight in list(found)[:MAX_LORAS]:
        known = model_name(name)
        if known and known != "None":  # how loader nodes spell an empty slot
            strength = number(weight)
            shown.append(known if strength is None else f"{known}:{strength}")
    return ", ".join(dict.fromkeys(shown))


def guidance(cfg: object, distilled: object) -> int | float | None:
    """The scale that had an effect: a scale of 1 means none, and then a model that has guidance
    distilled into it (Flux) was steered by that."""
    scale, inner = number(cfg), number(distilled)
    return inner if inner is not None and scale in (None, 1) else scale


def _limit(key: str) -> int:
    return MAX_TEXT if key in TEXT_PARAMETERS or key == "loras" else MAX_SHORT_TEXT
