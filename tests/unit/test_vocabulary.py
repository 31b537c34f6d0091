import pytest

from shared.named_vocabularies import DEFAULT, NamedVocabularies
from shared.vocabulary import (
    FACETS,
    Facet,
    Term,
    VocabularyError,
    parse_facet,
)


def test_a_file_gives_terms_synonyms_broader_terms_and_templates() -> None:
    facet = parse_facet(
        "subject",
        ["# animals", "a photo of {}", "", "cat | kitty", "    tabby", "        mackerel", "dog"],
    )

    assert facet == Facet(
        "subject",
        (Term(("cat", "kitty")), Term(("tabby",), 0), Term(("mackerel",), 1), Term(("dog",))),
        ("a photo of {}",),
    )
    assert facet.names == ("cat", "kitty", "tabby", "mackerel", "dog")
    assert facet.owners == (0, 0, 1, 2, 3)


def test_a_name_with_braces_of_its_own_is_only_text() -> None:
    facet = Facet("subject", (Term(("{0.__class__}",)),), ("a photo of {}",))

    assert facet.prompts("{0.__class__}") == ["a photo of {0.__class__}"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["cat", "dog", "Cat"], "subject, line 3: 'Cat' is on line 1 already"),
        (["cat |"], "subject, line 1: an empty name"),
        (["# nothing"], "no term"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_the_place(lines: list[str], complaint: str) -> None:
    with pytest.raises(VocabularyError, match=complaint):
        parse_facet("subject", lines)


def test_the_projects_own_vocabulary_has_every_facet_and_prompts_for_each() -> None:
    vocabulary = NamedVocabularies(None).get(DEFAULT)

    assert tuple(facet.name for facet in vocabulary.facets) == FACETS
    assert all(len(facet.templates) > 1 for facet in vocabulary.facets)
    assert vocabulary.null is not None
    sizes = {facet.name: len(facet.terms) for facet in vocabulary.facets}
    assert sizes["subject"] >= 300
    assert min(sizes.values()) >= 20
