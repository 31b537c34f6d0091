import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gridscribe
from worker.captioning.captioning import Captioning, CaptioningConfig, CaptionRequest

COFFEE = Path(gridscribe.__file__).parent / "samples" / "coffee.jpg"
MISSING = "local-dir:/does/not/exist"

Start = Callable[..., Captioning]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def start(cache_dir: Path) -> Iterator[Start]:
    """Starts services with settings of the test's choice, and closes them."""
    started: list[Captioning] = []
    defaults = CaptioningConfig(
        models=("starter",),
        fallback_to_starter=True,
        cache_dir=cache_dir,
        threads=1,
        max_batch=8,
        batch_wait_ms=4,
        batch_timeout_seconds=60,
        model_retry_seconds=60,
    )

    def start(**settings: Any) -> Captioning:
        service = Captioning(replace(defaults, **settings))
        started.append(service)
        service.load()
        return service

    yield start
    for service in started:
        service.close()


@pytest.fixture(scope="module")
def coffee() -> Image.Image:
    return Image.open(COFFEE).convert("RGB")


def test_captions_pictures_of_many_threads(start: Start, coffee: Image.Image) -> None:
    captioning = start()
    black = Image.new("RGB", (64, 64))

    def label(number: int) -> str | None:
        picture = coffee if number % 2 else black
        return captioning.submit(picture, CaptionRequest()).result(30).text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(label, range(24))) == [None, "espresso"] * 12


def test_a_request_may_ask_for_more_confidence(start: Start, coffee: Image.Image) -> None:
    found = start().submit(coffee, CaptionRequest(min_confidence=1)).result(30)

    assert found.text is None
    assert found.reason is not None
    assert "below 1.00" in found.reason


def test_the_starter_serves_for_a_model_that_cannot_be_loaded(
    start: Start, coffee: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="worker.captioning")
    captioning = start(models=(MISSING,))
    found = [captioning.submit(coffee, CaptionRequest()).result(30) for _ in range(2)]

    assert [each.text for each in found] == ["espresso"] * 2
    for each in found:
        assert each.fallback
        assert each.model == "starter"
        assert each.reason is not None
        assert f"{MISSING!r} cannot be loaded" in each.reason
    (message,) = caplog.messages
    assert "cannot be loaded" in message
    assert "/does/not/exist" in message
    assert "'starter' serves instead" in message
    status = captioning.status()
    assert (status.asked, status.in_use, status.device) == (MISSING, "starter", "cpu")
    assert status.reason == found[0].reason


def test_without_a_stand_in_there_is_no_caption_but_a_reason(
    start: Start, coffee: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="worker.captioning")
    captioning = start(models=(MISSING,), fallback_to_starter=False)

    found = captioning.submit(coffee, CaptionRequest()).result(30)

    assert found.text is None
    assert found.fallback
    assert found.reason is not None
    assert "cannot be loaded" in found.reason
    (message,) = caplog.messages
    assert "keep their file names" in message
    assert captioning.status().in_use is None
    assert captioning.input_size == 256


def test_another_model_of_the_deployment_is_served_on_request(
    start: Start, coffee: Image.Image
) -> None:
    captioning = start(models=("starter", MISSING))

    usual = captioning.submit(coffee, CaptionRequest()).result(30)
    other = captioning.submit(coffee, CaptionRequest(model=MISSING)).result(30)

    assert not usual.fallback
    assert other.text == usual.text
    assert other.fallback


def test_a_model_that_is_not_offered_is_never_loaded(start: Start, coffee: Image.Image) -> None:
    found = start().submit(coffee, CaptionRequest(model="hf-hub:some/model")).result(30)

    assert found.text == "espresso"
    assert found.fallback
    assert found.reason == "this worker does not offer the model 'hf-hub:some/model'"


def test_a_picture_that_breaks_while_it_is_read_costs_only_itself(
    start: Start, coffee: Image.Image, tmp_path: Path
) -> None:
    captioning = start()
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(COFFEE.read_bytes()[:3000])

    with Image.open(torn) as picture:
        broken = captioning.submit(picture, CaptionRequest()).result(30)
    whole = captioning.submit(coffee, CaptionRequest()).result(30)

    assert broken.text is None
    assert broken.reason is not None
    assert "captioning failed on this image" in broken.reason
    assert whole.text == "espresso"


def test_text_features_are_kept_for_the_next_start(start: Start, cache_dir: Path) -> None:
    start()
    kept = {path: path.stat().st_mtime_ns for path in cache_dir.glob("text-*.npy")}
    assert kept

    start()

    assert {path: path.stat().st_mtime_ns for path in cache_dir.glob("text-*.npy")} == kept


def test_a_closed_service_takes_no_pictures(start: Start, coffee: Image.Image) -> None:
    captioning = start()
    captioning.close()

    with pytest.raises(RuntimeError, match="shut down"):
        captioning.submit(coffee, CaptionRequest())


def test_an_offer_of_no_models_is_refused(start: Start) -> None:
    with pytest.raises(ValueError, match="name at least one"):
        start(models=())
