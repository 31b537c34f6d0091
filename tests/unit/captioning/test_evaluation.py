import pytest

from shared.schemas import ImageCaption, ScoredTerm
from shared.vocabulary import parse_facet
from worker.captioning.evaluation import TruthMatcher, evaluate

FACET = parse_facet(
    "subject", ["cat | kitty", "    tabby cat", "    lion", "dog | hound", "tench, Tinca tinca"]
)


def saw(*terms: str, confidence: float = 0.9, sure: bool = True) -> ImageCaption:
    """Best term first; each further one half as sure."""
    top = tuple(
        ScoredTerm(term=term, score=confidence / 2**rank) for rank, term in enumerate(terms)
    )
    return ImageCaption(answer=terms[0] if sure else None, facets={"subject": top})


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("cat", "cat", True),
        ("cat", "Kitty ", True),
        ("tabby cat", "cat", True),
        ("cat", "tabby cat", True),
        ("lion", "tabby cat", False),
        ("dog", "cat", False),
        ("tench, Tinca tinca", "tench", True),
        ("tench, Tinca tinca", "Tinca tinca", True),
        ("cat", "horse", False),
    ],
)
def test_an_answer_is_right_on_the_truths_path_in_the_tree(
    answer: str, truth: str, right: bool
) -> None:
    assert TruthMatcher(FACET).is_right(answer, truth) is right


def test_the_figures_of_a_known_answer() -> None:
    found = evaluate(
        FACET,
        [
            ("cat", saw("cat", "dog", confidence=0.95)),
            ("dog", saw("dog", "cat", confidence=0.93)),
            ("dog", saw("cat", "dog", confidence=0.55)),
            ("tench", saw("dog", "cat", confidence=0.35, sure=False)),
            ("horse", saw("dog")),
        ],
    )

    assert (found.images, found.outside) == (4, 1)
    assert (found.top1, found.top5) == (0.5, 0.75)
    assert found.answered == 0.75
    assert found.right_when_answered == pytest.approx(2 / 3)
    assert [(each.low, each.images, each.accuracy) for each in found.bins] == [
        (0.3, 1, 0.0),
        (0.5, 1, 0.0),
        (0.9, 2, 1.0),
    ]
    assert found.calibration_error == pytest.approx((0.35 + 0.55 + 2 * 0.06) / 4)
    assert found.threshold is not None
    assert (found.threshold.confidence, found.threshold.answered) == (0.93, 0.5)
    assert {(each.truth, each.taken_for) for each in found.confusions} == {
        ("dog", "cat"),
        ("tench", "dog"),
    }


def test_the_threshold_is_the_lowest_that_nine_of_ten_stand_above() -> None:
    right = [("cat", saw("cat", confidence=0.8))] * 9
    wrong = [("cat", saw("dog", confidence=0.8))]

    both = evaluate(FACET, [*right, *wrong]).threshold
    assert both is not None
    assert both.confidence == 0.8
    assert both.right == 0.9
    assert evaluate(FACET, [*right, *wrong, *wrong]).threshold is None


def test_pictures_that_were_not_captioned_are_neither_right_nor_answered() -> None:
    found = evaluate(FACET, [("cat", ImageCaption(reason="the picture cannot be read"))])

    assert (found.top1, found.top5, found.answered) == (0, 0, 0)
    assert found.right_when_answered is None
    assert found.threshold is None
    assert found.confusions == ()


def test_truths_that_the_vocabulary_lacks_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="none of the truths is a term"):
        evaluate(FACET, [("horse", saw("dog"))])
