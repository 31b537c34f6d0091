"""From features to a caption: softmax within a facet, and silence where the model is not sure.

Prompt templates are averaged as in CLIP (Radford et al. 2021, section 3.1.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

import numpy as np

from shared.schemas import ImageCaption, ScoredTerm
from shared.vocabulary import Facet
from worker.captioning.captioner import FloatArray, Scoring

TOP_TERMS = 5

Probabilities = list[float]


def ensemble(features: FloatArray) -> FloatArray:
    """(names, templates, D) to L2-normalised (names, D): each normalised, averaged, normalised."""
    return normalised(normalised(features).mean(axis=1))


def normalised(features: FloatArray) -> FloatArray:
    """(..., D) to rows of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(features, axis=-1, keepdims=True)
    normalised: FloatArray = np.divide(
        features, lengths, out=np.zeros_like(features), where=lengths > 0
    )
    return normalised


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one facet has to say of one picture."""

    top: tuple[ScoredTerm, ...]
    """Best first. A term's score counts its narrower terms in."""
    answer: ScoredTerm | None
    doubt: str | None
    """Why there is no answer."""


class FacetClassifier:
    """Zero-shot classification over one facet's terms."""

    def __init__(self, facet: Facet, names: FloatArray, null: FloatArray | None) -> None:
        """`names` is (names, D), a row for each of `facet.names`; `null` is (K, D)."""
        self._facet = facet
        self._names = names
        self._null = null
        owners = np.array(facet.owners)
        self._first_names = np.flatnonzero(np.diff(owners, prepend=-1))
        self._children: dict[int | None, list[int]] = {}
        for index, term in enumerate(facet.terms):
            self._children.setdefault(term.parent, []).append(index)
        self._narrower = [
            (index, term.parent)
            for index, term in enumerate(facet.terms)
            if term.parent is not None
        ][::-1]
        """With their broader terms, which stand before them: the last come first."""

    @property
    def name(self) -> str:
        return self._facet.name

    def judge(self, feature: FloatArray, scoring: Scoring, min_confidence: float) -> Verdict:
        """`feature` is (D,), finite and normalised."""
        own, null = self._probabilities(feature, scoring)
        mass = own.copy()
        for index, parent in self._narrower:
            mass[parent] += mass[index]
        order = nlargest(TOP_TERMS, range(len(mass)), key=mass.__getitem__)
        top = tuple(self._scored(index, mass) for index in order)
        winner = self._most_specific(own, mass, null, scoring.min_margin, min_confidence)
        if winner is not None:
            return Verdict(top, self._scored(winner, mass), None)
        return Verdict(top, None, self._doubt(mass, null, min_confidence))

    def _probabilities(self, feature: FloatArray, scoring: Scoring) -> tuple[Probabilities, float]:
        """Of each term and of nothing in particular, 1 in all. A term scores as its best name."""
        cosines = (self._names @ feature).astype(np.float64)
        terms = np.maximum.reduceat(cosines, self._first_names)
        null = scoring.null_similarity
        if self._null is not None:
            null = max(null, float((self._null @ feature).max()))
        logits = scoring.scale * np.append(terms, null)
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        # A list: what follows looks at single numbers, which an array makes an object of each time.
        *own, nothing = weights.tolist()
        return own, nothing

    def _most_specific(
        self,
        own: Probabilities,
        mass: Probabilities,
        null: float,
        min_margin: float,
        min_confidence: float,
    ) -> int | None:
        """The narrowest term that is sure of itself: breeds that share the votes leave `cat`."""
        winner: int | None = None
        rival = null
        while candidates := self._children.get(winner):
            best, *others = nlargest(2, candidates, key=mass.__getitem__)
            rival = max([rival, *(mass[other] for other in others)])
            if winner is not None:
                rival = max(rival, own[winner])
            if mass[best] < min_confidence or mass[best] - rival < min_margin:
                break
            winner = best
        return winner

    def _doubt(
        self,
        mass: Probabilities,
        null: float,
        min_confidence: float,
    ) -> str:
        best, *others = nlargest(2, self._children[None], key=mass.__getitem__)
        text, confidence = self._facet.terms[best].text, mass[best]
        if null >= confidence:
            return f"no {self.name} stands out; the nearest is {text!r} ({confidence:.2f})"
        if confidence < min_confidence:
            return f"not sure of {self.name} {text!r}: {confidence:.2f}, below {min_confidence:.2f}"
        if others and mass[others[0]] >= null:
            other = self._facet.terms[others[0]].text
            return f"torn between {text!r} ({confidence:.2f}) and {other!r} ({mass[others[0]]:.2f})"
        return f"torn between {text!r} ({confidence:.2f}) and nothing in particular ({null:.2f})"

    def _scored(self, index: int, mass: Probabilities) -> ScoredTerm:
        # Sums of probabilities may pass 1 in the last digit.
        score = round(min(1.0, mass[index]), 4)
        return ScoredTerm(term=self._facet.terms[index].text, score=score)


def caption(
    feature: FloatArray,
    classifiers: Sequence[FacetClassifier],
    scoring: Scoring,
    *,
    model: str,
    min_confidence: float | None = None,
) -> ImageCaption:
    """The caption of an image feature (D,), or why there is none.

    The first facet carries it: `red fox, oil painting, at sunset` is a label, `at sunset` is none.
    """
    if not np.isfinite(feature).all():
        return ImageCaption(model=model, reason="the model gave no usable numbers for this picture")
    bar = scoring.min_confidence if min_confidence is None else min_confidence
    verdicts = {each.name: each.judge(feature, scoring, bar) for each in classifiers}
    facets = {name: verdict.top for name, verdict in verdicts.items()}
    main, *others = verdicts.values()
    if main.answer is None:
        return ImageCaption(model=model, facets=facets, reason=main.doubt)
    sure = [main.answer, *(verdict.answer for verdict in others if verdict.answer)]
    return ImageCaption(
        text=", ".join(answer.term for answer in sure),
        confidence=main.answer.score,
        model=model,
        answer=main.answer.term,
        facets=facets,
    )
