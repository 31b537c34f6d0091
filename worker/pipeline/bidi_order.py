"""Right-to-left text among other text, in the order of the Unicode Bidirectional Algorithm.

Pillow orders what it draws in one go, and that is one font; lines of several are ordered here.
"""

import unicodedata
from collections.abc import Sequence
from typing import Protocol, TypeVar

import regex
from bidi import algorithm  # type: ignore[import-untyped] # ships no types

RIGHT_TO_LEFT_MARK = "\u200f"
"""Begins a line that belongs to a right-to-left paragraph and does not show it by itself."""

_VISIBLE = frozenset(["L", "R", "AL", "EN", "ES", "ET", "AN", "CS", "NSM", "WS", "ON"])
_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")


def is_right_to_left(paragraph: str) -> bool:
    """By its first letter that has a direction (rules P2 and P3)."""
    return bool(algorithm.get_base_level(paragraph))


def embedding_levels(clusters: Sequence[str], *, right_to_left: bool) -> list[int]:
    """Of each cluster of a line: odd ones run to the left."""
    base = int(right_to_left)
    bases = "".join(_known(cluster[0]) for cluster in clusters)
    if not right_to_left and not _RIGHT_TO_LEFT.search(bases):
        return [0] * len(clusters)
    storage = algorithm.get_empty_storage()
    storage["base_level"], storage["base_dir"] = base, "LR"[base]
    algorithm.get_embedding_levels(bases, storage)
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    algorithm.resolve_neutral_types(storage, debug=False)
    algorithm.resolve_implicit_levels(storage, debug=False)
    return [character["level"] for character in storage["chars"]]


def _known(character: str) -> str:
    """Unassigned and invisible characters have no direction, and the algorithm no rule for them."""
    return character if unicodedata.bidirectional(character) in _VISIBLE else "a"


class Leveled(Protocol):
    @property
    def level(self) -> int: ...


RunT = TypeVar("RunT", bound=Leveled)


def in_visual_order(runs: Sequence[RunT]) -> list[RunT]:
    """From left to right (rule L2): from the highest level down, reverse what is at it or above."""
    ordered = list(runs)
    levels = {run.level for run in runs}
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(ordered):
            end = start
            while end < len(ordered) and ordered[end].level >= level:
                end += 1
            ordered[start:end] = ordered[start:end][::-1]
            start = end + 1
    return ordered
