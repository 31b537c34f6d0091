import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.vocabulary import Facet, Vocabulary, parse_facet
from worker.captioning.captioner import FloatArray, OutOfDeviceMemory, Scoring
from worker.captioning.feature_files import FeatureFiles
from worker.captioning.text_features import TextFeatures


class LetterCaptioner:
    """A text's feature counts its letters; notes what it was asked."""

    name = "letters"
    device = "cpu"
    streams = 1
    best_batch = None
    input_size = 2
    scoring = Scoring(scale=1, min_confidence=0, min_margin=0)
    facets = frozenset({"subject"})
    memory_bytes = 0
    forks = False

    def __init__(self, identity: str = "letters 1", *, uses_templates: bool = True) -> None:
        self.identity = identity
        self.uses_templates = uses_templates
        self.asked: list[str] = []
        self.threads: set[int] = set()
        self.releases = 0

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        self.threads.add(threading.get_ident())
        return np.array([np.bincount(list(text.encode()), minlength=256) for text in texts], "f4")

    def preprocess(self, picture: Image.Image) -> FloatArray:
        raise NotImplementedError("features of texts need no picture")

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        raise NotImplementedError("features of texts need no pixels")

    def warm_up(self) -> None:
        pass

    def release_images(self) -> None: ...

    def release_texts(self) -> None:
        self.releases += 1

    def move_to_cpu(self) -> bool:
        return False


ROOM = 10**9


def facet_features(captioner: LetterCaptioner, facet: Facet, folder: Path) -> FloatArray:
    """As a process that has just started would get them."""
    texts = TextFeatures(FeatureFiles(folder, ROOM))
    try:
        return texts.of_facet(captioner, facet)
    finally:
        texts.close()


@pytest.fixture
def texts(tmp_path: Path) -> Iterator[TextFeatures]:
    texts = TextFeatures(FeatureFiles(tmp_path, ROOM))
    yield texts
    texts.close()


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


def test_a_model_is_asked_only_about_facets_it_can_judge(texts: TextFeatures) -> None:
    medium = parse_facet("medium", ["oil painting", "photo"])
    null = parse_facet("null", ["an image"])
    captioner = LetterCaptioner()

    known = texts.classifiers(captioner, Vocabulary((FACET, medium), null))

    assert [each.name for each in known] == ["subject"]
    assert "an image" not in captioner.asked


class SlowLetters(LetterCaptioner):
    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        time.sleep(0.05)  # long enough for other threads to ask meanwhile
        return super().encode_texts(texts)


def test_threads_that_ask_at_once_for_new_texts_have_them_encoded_once(texts: TextFeatures) -> None:
    captioner = SlowLetters()
    vocabulary = Vocabulary((FACET,))

    with ThreadPoolExecutor(32) as pool:
        known = list(pool.map(lambda _: texts.classifiers(captioner, vocabulary), range(32)))

    assert len(captioner.asked) == 6
    assert len(captioner.threads) == 1
    assert len(known) == 32
    assert captioner.releases >= 1


def test_the_text_encoder_is_let_go_when_its_last_reader_is_done(texts: TextFeatures) -> None:
    captioner = LetterCaptioner()

    texts.classifiers(captioner, Vocabulary((FACET,)))

    assert captioner.releases == 1


def test_a_short_request_has_its_turn_between_the_parts_of_a_long_one(texts: TextFeatures) -> None:
    captioner = SlowLetters(uses_templates=False)
    long = parse_facet("subject", [f"term {n}" for n in range(640)])
    short = parse_facet("subject", ["cat", "dog"])

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(texts.of_facet, captioner, long)
        while not captioner.asked:
            time.sleep(0.005)
        texts.of_facet(captioner, short)
        assert not waiting.done()
        assert waiting.result(10).shape == (640, 256)

    assert captioner.asked.index("cat") < 639


def test_a_failure_is_told_to_all_who_wait_and_the_next_one_tries_again(
    texts: TextFeatures,
) -> None:
    class Failing(SlowLetters):
        broken = True

        def encode_texts(self, texts: Sequence[str]) -> FloatArray:
            features = super().encode_texts(texts)
            if self.broken:
                raise ValueError("no reader")
            return features

    captioner = Failing()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(texts.of_facet, captioner, FACET) for _ in range(4)]
        for each in waiting:
            with pytest.raises(ValueError, match="no reader"):
                each.result(10)
    captioner.broken = False

    assert texts.of_facet(captioner, FACET).shape == (3, 256)


def test_texts_that_do_not_fit_on_the_device_are_encoded_in_smaller_parts(
    texts: TextFeatures,
) -> None:
    class Small(LetterCaptioner):
        def encode_texts(self, texts: Sequence[str]) -> FloatArray:
            if len(texts) > 2:
                raise OutOfDeviceMemory("full")
            return super().encode_texts(texts)

    assert texts.of_facet(Small(), FACET).shape == (3, 256)


def test_the_least_recently_used_files_go_when_the_room_is_used_up(tmp_path: Path) -> None:
    one = np.ones((3, 256), dtype=np.float32)
    files = FeatureFiles(tmp_path, max_bytes=3 * (one.nbytes + 128))
    for age, key in enumerate("cba"):
        files.write(key, one)
        os.utime(tmp_path / f"text-{key}.npy", (1000 - age, 1000 - age))
    assert files.read("a", rows=3) is not None  # the oldest one, but used just now

    files.write("d", one)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "text-a.npy",
        "text-c.npy",
        "text-d.npy",
    ]
