"""Understands options that take several words, as the script did that came before this program:
`--labels prompt seed` and `--background 255 255 255`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PATHS_NEEDED = 2  # `export` has an input and an output at least


@dataclass(slots=True)
class _Segment:
    """An option with its values, or, without one, the words between two options."""

    option: str | None
    values: list[str]


def with_single_values(
    arguments: Sequence[str], value_counts: Mapping[str, int], *, greedy_labels: bool
) -> list[str]:
    """`arguments` with `--background R G B` as one value and, with `greedy_labels`, each word
    after `--labels` as a `--labels` of its own.

    Where paths follow such labels and no option stands between, the last words are the paths that
    the command still needs. `value_counts` says how many values each option has, 0 for a switch.
    """
    segments = _split(arguments, value_counts, greedy_labels=greedy_labels)
    paths = sum(len(segment.values) for segment in segments if segment.option is None)
    rewritten: list[str] = []
    for segment in segments:
        if segment.option is None:
            rewritten += segment.values
        elif segment.option == "--labels" and segment.values:
            returned = min(max(0, _PATHS_NEEDED - paths), len(segment.values) - 1)
            kept = len(segment.values) - (returned if greedy_labels else 0)
            for label in segment.values[:kept]:
                rewritten += ["--labels", label]
            rewritten += segment.values[kept:]
            paths += len(segment.values) - kept
        elif segment.option == "--background" and segment.values:
            rewritten += ["--background", ",".join(segment.values)]
        else:
            rewritten += [segment.option, *segment.values]
    return rewritten


def _split(
    arguments: Sequence[str], value_counts: Mapping[str, int], *, greedy_labels: bool
) -> list[_Segment]:
    segments: list[_Segment] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            segments.append(_Segment(None, [word, *waiting]))
            break
        if word not in value_counts:  # a path, `--option=value`, or nothing we know
            segments.append(_Segment(None if not word.startswith("-") else word, []))
            if not word.startswith("-"):
                segments[-1].values.append(word)
            continue
        count = value_counts[word]
        if word == "--background" and len(waiting) >= 3 and all(map(str.isdecimal, waiting[:3])):
            count = 3
        elif word == "--labels" and greedy_labels:
            count = next(
                (at for at, value in enumerate(waiting) if value.startswith("-")), len(waiting)
            )
        segments.append(_Segment(word, waiting[:count]))
        del waiting[:count]
    return segments
