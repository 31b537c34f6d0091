from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from worker.captioning.captioner import FloatArray
from worker.captioning.image_features import FILE_NAME, ImageFeatures, rounded

Open = Callable[..., ImageFeatures]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the store of one folder as often as the test wants, and closes it."""
    stores: list[ImageFeatures] = []

    def opened(max_bytes: int = 10**8) -> ImageFeatures:
        stores.append(ImageFeatures(tmp_path, max_bytes))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


def feature(seed: int, dimensions: int = 512) -> FloatArray:
    drawn = np.random.default_rng(seed).normal(size=dimensions).astype(np.float32)
    unit: FloatArray = drawn / np.linalg.norm(drawn)
    return unit


def test_a_feature_comes_back_as_rounded_in_another_process_too(opened: Open) -> None:
    store = opened()
    store.put("model 1", "aa", feature(1))
    store.close()

    again = opened()

    found = again.get("model 1", "aa")
    assert found is not None
    np.testing.assert_array_equal(found, rounded(feature(1)))
    np.testing.assert_allclose(found, feature(1), atol=2e-4)
    assert again.get("model 2", "aa") is None
    assert again.get("model 1", "ab") is None
    assert (again.hits, again.misses) == (1, 2)


def test_features_that_are_no_numbers_are_not_kept(opened: Open) -> None:
    store = opened()
    store.put("model", "aa", np.full(4, np.nan, dtype=np.float32))
    store.close()

    assert opened().get("model", "aa") is None


def test_the_oldest_go_when_the_room_is_used_up(opened: Open, tmp_path: Path) -> None:
    store = opened(max_bytes=300_000)
    for number in range(600):
        store.put("model", f"{number}", feature(number))
    store.close()

    kept = opened()
    held = [number for number in range(600) if kept.get("model", f"{number}") is not None]
    assert 100 < len(held) < 300
    assert held == list(range(600 - len(held), 600))
    assert (tmp_path / FILE_NAME).stat().st_size < 400_000


def test_a_damaged_file_is_begun_anew(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 500)

    store = opened()
    store.put("model", "aa", feature(1))
    store.close()

    assert "it is damaged" in caplog.text
    assert opened().get("model", "aa") is not None


def test_a_folder_that_cannot_be_used_costs_nothing_but_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("a file where the folder should be")

    store = ImageFeatures(in_the_way, 10**8)
    store.put("model", "aa", feature(1))

    assert store.get("model", "aa") is None
    store.close()
    assert "are not kept in" in caplog.text


def test_no_room_means_no_file(opened: Open, tmp_path: Path) -> None:
    store = opened(max_bytes=0)
    store.put("model", "aa", feature(1))

    assert store.get("model", "aa") is None
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_is_empty_and_takes_nothing(opened: Open) -> None:
    store = opened()
    store.close()

    store.put("model", "aa", feature(1))

    assert store.get("model", "aa") is None
