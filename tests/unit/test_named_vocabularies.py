from pathlib import Path

import pytest

from shared.errors import GridscribeError
from shared.named_vocabularies import DEFAULT, NamedVocabularies


def write(folder: Path, **facets: str) -> None:
    folder.mkdir()
    for name, text in facets.items():
        (folder / f"{name}.txt").write_text(text)


def test_an_operators_folder_is_a_vocabulary_with_our_null_prompts(tmp_path: Path) -> None:
    write(tmp_path / "garden", subject="a {} in bloom\nrose\ntulip", medium="photo", style="flat")
    named = NamedVocabularies(tmp_path)

    garden = named.get("garden")

    assert named.names() == ("default", "garden")
    assert [facet.name for facet in garden.facets] == ["subject", "medium", "style"]
    assert garden.facets[0].names == ("rose", "tulip")
    assert garden.null == named.get(DEFAULT).null


def test_a_vocabulary_may_have_null_prompts_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "garden", subject="rose", null="bare soil")

    null = NamedVocabularies(tmp_path).get("garden").null

    assert null is not None
    assert null.names == ("bare soil",)


@pytest.mark.parametrize(
    ("facets", "complaint"),
    [
        ({"medium": "photo"}, "subject.txt is missing"),
        ({"subject": "rose", "petals": "five"}, "petals.txt: no such facet; there are subject"),
        ({"subject": "# nothing"}, "subject: no term"),
    ],
)
def test_a_folder_with_a_mistake_is_refused_with_the_place(
    tmp_path: Path, facets: dict[str, str], complaint: str
) -> None:
    write(tmp_path / "mine", **facets)

    with pytest.raises(GridscribeError, match=complaint) as caught:
        NamedVocabularies(tmp_path).get("mine")

    assert caught.value.code == "unknown_vocabulary"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "mine")
    (tmp_path / "mine" / "subject.txt").write_bytes(b"\xff\xfe\x00rose")

    with pytest.raises(GridscribeError, match="subject: not UTF-8"):
        NamedVocabularies(tmp_path).get("mine")


def test_a_folder_with_an_odd_name_or_one_of_ours_is_not_offered(tmp_path: Path) -> None:
    write(tmp_path / "Not a name", subject="rose")
    write(tmp_path / ".hidden", subject="rose")
    write(tmp_path / "default", subject="rose")
    named = NamedVocabularies(tmp_path)

    assert named.names() == ("default",)
    assert len(named.get("default").facets) == 5


def test_without_a_folder_there_is_the_default(tmp_path: Path) -> None:
    assert NamedVocabularies(None).names() == ("default",)
    assert NamedVocabularies(tmp_path / "absent").names() == ("default",)


def test_candidates_take_the_place_of_all_facets_once_each() -> None:
    default = NamedVocabularies(None).get(DEFAULT)

    chosen = default.with_candidates(["a cat", "A Cat", "{}"]).with_templates(("see {}",))

    (facet,) = chosen.facets
    assert facet.names == ("a cat", "{}")
    assert facet.prompts("{}") == ["see {}"]
    assert facet.name == "subject"
    assert chosen.null == default.null
