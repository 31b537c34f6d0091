"""How good captions are, measured against what pictures are known to show."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.job_spec import StrictModel
from shared.schemas import ImageCaption
from shared.vocabulary import Facet

BINS = 10
TARGET = 0.9
"""Share of right answers that the suggested threshold is chosen for."""
CONFUSIONS = 10


class Bin(StrictModel):
    """Pictures whose best term has a confidence from `low` to below `high`."""

    low: float
    high: float
    images: int
    confidence: float
    """Mean."""
    accuracy: float


class Threshold(StrictModel):
    """What a bar of confidence, alone, would give."""

    confidence: float
    answered: float
    right: float


class Confusion(StrictModel):
    truth: str
    taken_for: str
    images: int


class Evaluation(StrictModel):
    """Shares are from 0 to 1."""

    images: int
    """Those whose truth is in the vocabulary; all but `outside` counts these alone."""
    outside: int
    """Those whose truth is not in the vocabulary: no answer could be right."""
    top1: float
    """Share whose best term is right, whether or not it was sure enough to be the answer."""
    top5: float
    answered: float
    right_when_answered: float | None
    """None where nothing was answered."""
    calibration_error: float
    """Mean distance of confidence and accuracy over the bins (ECE; Guo et al. 2017)."""
    bins: tuple[Bin, ...]
    threshold: Threshold | None
    """The lowest bar at which 9 of 10 answers are right; None where there is none."""
    confusions: tuple[Confusion, ...]
    """The most frequent first."""


class TruthMatcher:
    """An answer is right where it and the truth lie on one path of the facet's tree: the same term
    by any of its names, a broader or a narrower one. Case does not count, and a part of a name
    with commas, as in `tench, Tinca tinca`, stands for the whole.
    """

    def __init__(self, facet: Facet) -> None:
        self._facet = facet
        self._terms: dict[str, set[int]] = {}
        for index, term in enumerate(facet.terms):
            for name in term.names:
                for each in {name, *name.split(", ")}:
                    self._terms.setdefault(each.casefold().strip(), set()).add(index)

    def knows(self, truth: str) -> bool:
        return truth.casefold().strip() in self._terms

    def is_right(self, answer: str, truth: str) -> bool:
        answers, truths = (self._terms.get(text.casefold().strip(), ()) for text in (answer, truth))
        return any(a in self._path(t) or t in self._path(a) for a in answers for t in truths)

    def _path(self, index: int) -> Iterator[int]:
        at: int | None = index
        while at is not None:
            yield at
            at = self._facet.terms[at].parent


@dataclass(frozen=True, slots=True)
class _Seen:
    truth: str
    best: str | None
    confidence: float
    right: bool
    among_five: bool
    answered: bool
    answer_right: bool


def evaluate(facet: Facet, captions: Sequence[tuple[str, ImageCaption]]) -> Evaluation:
    """`captions` are of a vocabulary whose first facet is `facet`, each with its picture's truth.

    Raises ValueError where no truth is in the vocabulary.
    """
    matcher = TruthMatcher(facet)
    seen = [
        _see(matcher, facet.name, truth, caption)
        for truth, caption in captions
        if matcher.knows(truth)
    ]
    if not seen:
        raise ValueError(
            "none of the truths is a term of the vocabulary; look for another spelling"
        )
    answered = [each for each in seen if each.answered]
    bins = tuple(_bins(seen))
    mistakes = Counter((s.truth, s.best) for s in seen if s.best is not None and not s.right)
    return Evaluation(
        images=len(seen),
        outside=len(captions) - len(seen),
        top1=_share(each.right for each in seen),
        top5=_share(each.among_five for each in seen),
        answered=_share(each.answered for each in seen),
        right_when_answered=_share(each.answer_right for each in answered) if answered else None,
        calibration_error=sum(b.images * abs(b.confidence - b.accuracy) for b in bins) / len(seen),
        bins=bins,
        threshold=_threshold(seen),
        confusions=tuple(
            Confusion(truth=truth, taken_for=best, images=count)
            for (truth, best), count in mistakes.most_common(CONFUSIONS)
            if best is not None
        ),
    )


def _see(matcher: TruthMatcher, facet: str, truth: str, caption: ImageCaption) -> _Seen:
    top = caption.facets.get(facet, ())
    hits = [matcher.is_right(each.term, truth) for each in top]
    return _Seen(
        truth=truth,
        best=top[0].term if top else None,
        confidence=top[0].score if top else 0.0,
        right=bool(hits) and hits[0],
        among_five=any(hits[:5]),
        answered=caption.answer is not None,
        answer_right=caption.answer is not None and matcher.is_right(caption.answer, truth),
    )


def _share(flags: Iterator[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values)


def _bins(seen: Sequence[_Seen]) -> Iterator[Bin]:
    """Those that are not empty."""
    binned: dict[int, list[_Seen]] = {}
    for each in seen:
        binned.setdefault(min(int(each.confidence * BINS), BINS - 1), []).append(each)
    for at, members in sorted(binned.items()):
        yield Bin(
            low=at / BINS,
            high=(at + 1) / BINS,
            images=len(members),
            confidence=sum(each.confidence for each in members) / len(members),
            accuracy=_share(each.right for each in members),
        )


def _threshold(seen: Sequence[_Seen]) -> Threshold | None:
    found = None
    right = 0
    ranked = sorted(seen, key=lambda each: -each.confidence)
    for count, each in enumerate(ranked, start=1):
        right += each.right
        is_last_of_its_kind = count == len(ranked) or ranked[count].confidence < each.confidence
        if is_last_of_its_kind and right / count >= TARGET:
            found = Threshold(
                confidence=each.confidence, answered=count / len(seen), right=right / count
            )
    return found
