from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worker.captioning.captioner import FloatArray, Scoring
from worker.captioning.text_features import classifiers, facet_features
from worker.captioning.vocabulary import Facet, Vocabulary, parse_facet


class LetterCaptioner:
    """A text's feature counts its letters; notes what it was asked."""

    name = "letters"
    device = "cpu"
    input_size = 2
    scoring = Scoring(scale=1, min_confidence=0, min_margin=0)
    facets = frozenset({"subject"})

    def __init__(self, identity: str = "letters 1", *, uses_templates: bool = True) -> None:
        self.identity = identity
        self.uses_templates = uses_templates
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        return np.array([np.bincount(list(text.encode()), minlength=256) for text in texts], "f4")

    def preprocess(self, picture: Image.Image) -> FloatArray:
        raise NotImplementedError

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        raise NotImplementedError

    def warm_up(self) -> None:
        pass

    def move_to_cpu(self) -> bool:
        return False


FACET = parse_facet("subject", ["a {}", "the {}", "cat | kitty", "dog"])


def test_every_name_is_asked_in_every_template_once_and_then_read_from_disk(tmp_path: Path) -> None:
    captioner = LetterCaptioner()

    computed = facet_features(captioner, FACET, tmp_path / "cache")
    again = facet_features(captioner, FACET, tmp_path / "cache")

    assert captioner.asked == ["a cat", "the cat", "a kitty", "the kitty", "a dog", "the dog"]
    assert computed.shape == (3, 256)
    np.testing.assert_allclose(np.linalg.norm(computed, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(again, computed)


def test_a_model_that_wants_bare_names_gets_them(tmp_path: Path) -> None:
    captioner = LetterCaptioner(uses_templates=False)

    facet_features(captioner, FACET, tmp_path)

    assert captioner.asked == ["cat", "kitty", "dog"]


@pytest.mark.parametrize(
    ("identity", "facet"),
    [
        ("letters 2", FACET),
        ("letters 1", parse_facet("subject", ["a {}", "the {}", "cat | kitty", "dogs"])),
        ("letters 1", parse_facet("subject", ["a {}", "some {}", "cat | kitty", "dog"])),
    ],
)
def test_another_model_vocabulary_or_template_is_computed_anew(
    tmp_path: Path, identity: str, facet: Facet
) -> None:
    facet_features(LetterCaptioner(), FACET, tmp_path)
    captioner = LetterCaptioner(identity)

    facet_features(captioner, facet, tmp_path)

    assert captioner.asked


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b"\x80\x04not an array"),
        lambda path: np.save(path, np.full((3, 256), np.nan, dtype=np.float32)),
        lambda path: np.save(path, np.zeros((2, 256), dtype=np.float32)),
        lambda path: np.save(path, np.zeros((3, 256))),
    ],
    ids=["empty", "torn", "not numpy", "not finite", "too few rows", "another type"],
)
def test_a_damaged_file_is_computed_and_written_again(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    expected = facet_features(LetterCaptioner(), FACET, tmp_path)
    (path,) = tmp_path.iterdir()
    damage(path)
    captioner = LetterCaptioner()

    np.testing.assert_array_equal(facet_features(captioner, FACET, tmp_path), expected)
    np.testing.assert_array_equal(np.load(path), expected)
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("a file where the folder should be")

    features = facet_features(LetterCaptioner(), FACET, in_the_way)

    assert features.shape == (3, 256)
    assert "not kept on disk" in caplog.text


def test_a_model_is_asked_only_about_facets_it_can_judge(tmp_path: Path) -> None:
    medium = parse_facet("medium", ["oil painting", "photo"])
    null = parse_facet("null", ["an image"])
    captioner = LetterCaptioner()

    known = classifiers(captioner, Vocabulary((FACET, medium), null), tmp_path)

    assert [each.name for each in known] == ["subject"]
    assert "an image" not in captioner.asked
