"""Labels that show only what differs: cells what is their own, a header what they share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.parameters import TEXT_PARAMETERS

ORDER = (
    *("label", "caption", "title"),
    *("model", "loras", "cfg", "steps", "sampler", "scheduler", "seed", "size", "tool"),
)
"""Columns nobody knows come after these, in the order in which they appear; prompts come last."""
BARE = frozenset(
    {"label", "caption", "title", "model", "sampler", "scheduler", "size", "tool", "prompt"}
)
"""Their values say by themselves what they are."""
SPELLED = {"negative_prompt": "negative:"}
SEPARATOR = " · "
ELISION = "…"
MIN_SHARED_WORDS = 3
"""That prompts must begin or end with alike, before these are left out of the cells."""


@dataclass(frozen=True, slots=True)
class SmartLabels:
    header: str
    """What all images have in common: one line of parameters, one of prompts; empty lines left out.
    """
    texts: tuple[str, ...]
    """What is each image's own, in their order; empty where nothing is."""
    varying: frozenset[str]
    """The keys that `texts` are made of."""


def smart_labels(known: Sequence[Mapping[str, str]]) -> SmartLabels:
    """Tell what varies over a sheet from what is the same everywhere.

    Args:
        known: For each image its values by key, none of them empty. An image of which nothing is
            known does not count; one that merely lacks a key differs in it from those that do not.
    """
    described = [values for values in known if values]
    keys = _ordered({key: None for values in described for key in values})
    varying = frozenset(key for key in keys if len({values.get(key) for values in described}) > 1)
    common = {key: described[0][key] for key in keys if key not in varying}
    own = [{key: values[key] for key in keys if key in varying & values.keys()} for values in known]
    for key in TEXT_PARAMETERS:
        beginning, end = _shared_words([values[key] for values in own if key in values])
        if beginning or end:
            common[key] = " ".join((*beginning, ELISION, *end))
            for values in own:
                if key in values:
                    values[key] = _without(values[key], len(beginning), len(end))
    return SmartLabels(_text(common), tuple(map(_text, own)), varying)


def _ordered(keys: Iterable[str]) -> list[str]:
    known = {key: rank for rank, key in enumerate(ORDER)}
    prompts = {key: len(ORDER) + 1 + rank for rank, key in enumerate(TEXT_PARAMETERS)}
    return sorted(keys, key=lambda key: known.get(key, prompts.get(key, len(ORDER))))


def _text(values: Mapping[str, str]) -> str:
    """`cfg 7 · steps 20 · euler`, and the prompts on a line of their own."""
    parameters = {_part(key, values[key]): None for key in values if key not in TEXT_PARAMETERS}
    prompts = [_part(key, values[key]) for key in TEXT_PARAMETERS if key in values]
    # InvokeAI's sampler and scheduler are one word, which is said once.
    return "\n".join(filter(None, (SEPARATOR.join(parameters), SEPARATOR.join(prompts))))


def _part(key: str, value: str) -> str:
    value = " ".join(value.split())
    return value if key in BARE else f"{SPELLED.get(key, key)} {value}"


def _shared_words(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that all texts begin with and those that all end with, where they are many."""
    words = [text.split() for text in texts]
    if len(words) < 2:
        return [], []
    shortest = min(map(len, words))
    beginning = _same(words, range(shortest))
    end = _same(words, range(-1, beginning - shortest - 1, -1))
    return (
        words[0][:beginning] if beginning >= MIN_SHARED_WORDS else [],
        words[0][len(words[0]) - end :] if end >= MIN_SHARED_WORDS else [],
    )


def _same(words: Sequence[Sequence[str]], positions: Iterable[int]) -> int:
    count = 0
    for position in positions:
        if len({text[position] for text in words}) > 1:
            break
        count += 1
    return count


def _without(text: str, beginning: int, end: int) -> str:
    """Its own words between elisions."""
    words = text.split()
    own = words[beginning : len(words) - end]
    if not own:
        return ELISION
    return " ".join(([ELISION] if beginning else []) + own + ([ELISION] if end else []))
