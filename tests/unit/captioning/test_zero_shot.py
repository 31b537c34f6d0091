import math

import numpy as np
import pytest

from shared.vocabulary import Facet, parse_facet
from worker.captioning.captioner import FloatArray, Scoring
from worker.captioning.zero_shot import FacetClassifier, caption, ensemble

SCORING = Scoring(scale=10.0, min_confidence=0.3, min_margin=0.1)


def axes(count: int, dimensions: int = 8) -> FloatArray:
    return np.eye(count, dimensions, dtype=np.float32)


def towards(*cosines: float, dimensions: int = 8) -> FloatArray:
    """An image feature whose cosine with axis i is cosines[i]."""
    feature = np.zeros(dimensions, dtype=np.float32)
    feature[: len(cosines)] = cosines
    feature[-1] = math.sqrt(1 - sum(cosine**2 for cosine in cosines))
    return feature


def flat(*names: str, facet: str = "subject") -> Facet:
    return parse_facet(facet, names)


def test_an_ensemble_weighs_templates_alike_whatever_their_length() -> None:
    prompts = np.array([[[10.0, 0.0], [0.0, 0.1]]], dtype=np.float32)

    np.testing.assert_allclose(ensemble(prompts), [[math.sqrt(0.5), math.sqrt(0.5)]], rtol=1e-6)


def test_confidence_is_the_softmax_at_the_models_scale() -> None:
    found = caption(
        towards(0.5, 0.2),
        [FacetClassifier(flat("cat", "dog"), axes(2), axes(3)[2:])],
        SCORING,
        model="m",
    )

    expected = math.exp(5) / (math.exp(5) + math.exp(2) + math.exp(0))
    assert found.text == "cat"
    assert found.confidence == pytest.approx(expected, abs=1e-4)
    assert [term.term for term in found.facets["subject"]] == ["cat", "dog"]
    assert found.model == "m"


def test_a_tie_is_no_answer() -> None:
    found = caption(
        towards(0.6, 0.6),
        [FacetClassifier(flat("cat", "dog"), axes(2), None)],
        SCORING,
        model="m",
    )

    assert found.text is None
    assert found.reason is not None
    assert "torn between 'cat' (0.50) and 'dog' (0.50)" in found.reason


def test_breeds_that_share_the_votes_leave_the_broader_term() -> None:
    facet = parse_facet("subject", ["cat", "  tabby cat", "  tiger cat", "dog"])

    found = caption(
        towards(0.3, 0.5, 0.5, 0.2), [FacetClassifier(facet, axes(4), None)], SCORING, model="m"
    )

    assert found.text == "cat"
    assert found.confidence == pytest.approx(1 - _share([0.3, 0.5, 0.5, 0.2], 3), abs=1e-4)


def test_a_breed_that_is_sure_of_itself_wins_over_the_broader_term() -> None:
    facet = parse_facet("subject", ["cat", "  tabby cat", "  tiger cat", "dog"])

    found = caption(
        towards(0.2, 0.8, 0.3, 0.2), [FacetClassifier(facet, axes(4), None)], SCORING, model="m"
    )

    assert found.text == "tabby cat"


def test_a_term_scores_as_its_best_synonym_and_gains_nothing_from_having_many() -> None:
    facet = flat("sofa | couch | settee", "chair")

    found = caption(
        towards(0.5, 0.5, 0.5, 0.5), [FacetClassifier(facet, axes(4), None)], SCORING, model="m"
    )

    assert [term.score for term in found.facets["subject"]] == [
        pytest.approx(0.5, abs=0.01),
        pytest.approx(0.5, abs=0.01),
    ]


def test_null_prompts_that_win_silence_the_model() -> None:
    classifier = FacetClassifier(flat("cat", "dog"), axes(2), axes(3)[2:])

    found = caption(towards(0.2, 0.1, 0.7), [classifier], SCORING, model="m")

    assert found.text is None
    assert found.reason is not None
    assert "no subject stands out" in found.reason


def test_one_candidate_must_beat_the_null_prompts() -> None:
    classifier = FacetClassifier(flat("cat"), axes(1), axes(2)[1:])

    sure = caption(towards(0.7, 0.1), [classifier], SCORING, model="m")
    unsure = caption(towards(0.1, 0.7), [classifier], SCORING, model="m")

    assert sure.text == "cat"
    assert sure.confidence is not None
    assert sure.confidence < 1
    assert unsure.text is None


def test_without_null_prompts_one_candidate_must_beat_the_models_null_similarity() -> None:
    scoring = Scoring(scale=50, min_confidence=0.4, min_margin=0.1, null_similarity=0.22)
    classifier = FacetClassifier(flat("cat"), axes(1), None)

    assert caption(towards(0.3), [classifier], scoring, model="m").text == "cat"
    assert caption(towards(0.2), [classifier], scoring, model="m").text is None


def test_a_request_may_set_a_bar_of_its_own() -> None:
    classifier = FacetClassifier(flat("cat", "dog"), axes(2), None)
    feature = towards(0.5, 0.4)  # a confidence of 0.73

    assert caption(feature, [classifier], SCORING, model="m", min_confidence=0.7).text == "cat"
    refused = caption(feature, [classifier], SCORING, model="m", min_confidence=0.75)
    assert refused.text is None
    assert refused.reason == "not sure of subject 'cat': 0.73, below 0.75"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_no_numbers_give_no_caption(value: float) -> None:
    feature = towards(0.5)
    feature[3] = value

    found = caption(
        feature, [FacetClassifier(flat("cat", "dog"), axes(2), None)], SCORING, model="m"
    )

    assert found.text is None
    assert found.reason == "the model gave no usable numbers for this picture"


def test_a_caption_joins_the_facets_that_are_sure() -> None:
    subject = FacetClassifier(flat("fox", "dog"), axes(6)[:2], None)
    medium = FacetClassifier(flat("oil painting", "photo", facet="medium"), axes(6)[2:4], None)
    lighting = FacetClassifier(flat("at sunset", "at night", facet="lighting"), axes(6)[4:6], None)

    found = caption(
        towards(0.6, 0.0, 0.5, 0.0, 0.3, 0.3), [subject, medium, lighting], SCORING, model="m"
    )

    assert found.text == "fox, oil painting"
    assert set(found.facets) == {"subject", "medium", "lighting"}


def test_other_facets_make_no_caption_without_a_subject() -> None:
    subject = FacetClassifier(flat("fox", "dog"), axes(4)[:2], None)
    medium = FacetClassifier(flat("oil painting", "photo", facet="medium"), axes(4)[2:], None)

    found = caption(towards(0.3, 0.3, 0.8, 0.0), [subject, medium], SCORING, model="m")

    assert found.text is None
    assert found.facets["medium"][0].term == "oil painting"


def test_two_thousand_candidates_are_ranked_and_only_the_best_are_kept() -> None:
    rng = np.random.default_rng(7)
    names = ensemble(rng.normal(size=(2000, 1, 64)).astype(np.float32))
    classifier = FacetClassifier(flat(*(f"term {n}" for n in range(2000))), names, None)

    found = caption(
        names[1234], [classifier], Scoring(scale=100, min_confidence=0.3, min_margin=0.1), model="m"
    )

    assert found.text == "term 1234"
    scores = [term.score for term in found.facets["subject"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)


def test_candidates_that_tie_are_named_and_none_of_them_wins() -> None:
    """At any size: 2,000 that the picture is equally near to."""
    classifier = FacetClassifier(
        flat(*(f"term {n}" for n in range(2000))),
        np.tile(axes(1), (2000, 1)),
        axes(2)[1:],
    )

    found = caption(towards(0.9, 0.1), [classifier], SCORING, model="m")

    assert found.text is None
    assert found.answer is None
    assert [term.term for term in found.facets["subject"]] == [f"term {n}" for n in range(5)]
    assert found.reason is not None


def test_one_candidate_has_the_softmax_against_the_best_null_prompt() -> None:
    classifier = FacetClassifier(flat("cat"), axes(1), axes(3)[1:])

    found = caption(towards(0.6, 0.3, 0.1), [classifier], SCORING, model="m")

    expected = math.exp(6) / (math.exp(6) + math.exp(3))
    assert found.confidence == pytest.approx(expected, abs=1e-4)
    assert found.answer == "cat"


def _share(cosines: list[float], index: int) -> float:
    """Of one in a softmax with the model's null similarity of -1."""
    weights = [math.exp(SCORING.scale * cosine) for cosine in [*cosines, -1.0]]
    return weights[index] / sum(weights)
