import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gridscribe
from shared.schemas import ImageCaption
from worker.captioning.captioning import Captioning, CaptioningConfig, CaptionRequest
from worker.captioning.starter import StarterCaptioner

SAMPLES = Path(gridscribe.__file__).parent / "samples"


@pytest.fixture(scope="module")
def captioning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captioning]:
    service = Captioning(
        CaptioningConfig(
            models=("starter",),
            fallback_to_starter=True,
            cache_dir=tmp_path_factory.mktemp("cache"),
            threads=1,
            max_batch=8,
            batch_wait_ms=4,
            batch_timeout_seconds=60,
            model_retry_seconds=60,
        )
    )
    service.load()
    yield service
    service.close()


def caption_of(captioning: Captioning, name: str) -> ImageCaption:
    with Image.open(SAMPLES / name) as picture:
        return captioning.submit(picture, CaptionRequest()).result(30)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("chelsea.jpg", {"cat", "tabby cat", "tiger cat"}),
        ("coffee.jpg", {"coffee", "espresso"}),
        ("rocket.jpg", {"rocket"}),
        ("camera.jpg", {"camera", "tripod", "photographer with a camera"}),
    ],
)
def test_names_what_stands_in_a_photo(captioning: Captioning, name: str, labels: set[str]) -> None:
    found = caption_of(captioning, name)

    assert found.text in labels
    assert found.confidence is not None
    assert found.confidence > 0.5
    assert found.model == "starter"
    assert found.reason is None
    assert not found.fallback


@pytest.mark.parametrize("name", ["brick.jpg", "retina.jpg", "hubble_deep_field.jpg"])
def test_abstains_on_what_it_cannot_know(captioning: Captioning, name: str) -> None:
    found = caption_of(captioning, name)

    assert found.text is None
    assert found.reason is not None
    assert "no subject stands out" in found.reason


@pytest.mark.parametrize("color", ["white", "black", "red"])
def test_abstains_on_an_empty_picture(captioning: Captioning, color: str) -> None:
    found = captioning.submit(Image.new("RGB", (300, 200), color), CaptionRequest()).result(30)

    assert found.text is None


def test_the_packaged_weights_classify_as_they_were_trained_to() -> None:
    captioner = StarterCaptioner(threads=1)
    with Image.open(SAMPLES / "coffee.jpg") as picture:
        features = captioner.encode_images(captioner.preprocess(picture)[np.newaxis])
    texts = captioner.encode_texts(["espresso", "airplane"])

    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, rtol=1e-5)
    espresso, airplane = texts @ features[0]
    assert espresso > 0.3
    assert airplane < 0.1


def test_a_text_unlike_all_classes_is_further_from_every_picture() -> None:
    captioner = StarterCaptioner(threads=1)
    known, unknown = captioner.encode_texts(["monarch butterfly", "police officer"])
    (admiral,) = captioner.encode_texts(["admiral"])

    outside = len(captioner.class_features[0])
    assert known[outside] == pytest.approx(0, abs=1e-3)
    assert unknown[outside] > 0.6
    np.testing.assert_allclose(np.linalg.norm([known, unknown], axis=1), 1, rtol=1e-5)
    cosines = captioner.class_features @ unknown[:outside]
    assert cosines.max() < 0.75, "the nearest class no longer stands for it"
    assert cosines.argmax() == (captioner.class_features @ admiral[:outside]).argmax()


def test_the_modules_without_a_model_need_no_torch() -> None:
    modules = ("captioner", "batcher", "zero_shot", "text_features", "captioning")
    imports = "; ".join(f"import worker.captioning.{module}" for module in modules)

    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['torch'] = None; {imports}"], check=True
    )
