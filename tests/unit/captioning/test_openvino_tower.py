import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gridscribe
from shared.settings import Settings
from tests.unit.captioning.tiny_clip import make_tiny_clip, save_tiny_clip
from worker.captioning.captioner import FloatArray
from worker.captioning.engine import Engine
from worker.captioning.open_clip_captioner import OpenClipCaptioner

SAMPLES = Path(gridscribe.__file__).parent / "samples"


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny-clip")
    save_tiny_clip(make_tiny_clip(), folder)
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def in_torch(name: str) -> OpenClipCaptioner:
    return OpenClipCaptioner(name, 1, Engine(precision="float32"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 cuttings of the sample photos, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for path in SAMPLES.glob("*.jpg"):
        with Image.open(path) as photo:
            for part, box in enumerate(((0, 0, 200, 200), (100, 100, 300, 300))):
                photo.crop(box).save(folder / f"{path.stem}-{part}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def pixels(in_torch: OpenClipCaptioner) -> FloatArray:
    photos = sorted(SAMPLES.glob("*.jpg"))[:5]
    return np.stack([in_torch.preprocess(Image.open(path)) for path in photos])


def likeness(left: FloatArray, right: FloatArray) -> float:
    """The least cosine between rows."""
    return float((left * right).sum(axis=1).min())


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.99999), ("auto", 0.999)])
def test_gives_nearly_the_features_that_torch_gives(
    name: str, in_torch: OpenClipCaptioner, pixels: FloatArray, precision: str, least: float
) -> None:
    settings = Settings.model_validate({"clip_precision": precision})
    in_openvino = OpenClipCaptioner(
        name, 2, Engine(backend="openvino", precision=settings.clip_precision)
    )

    with ThreadPoolExecutor(in_openvino.streams) as pool:
        found = list(pool.map(in_openvino.encode_images, [pixels, pixels[:1], pixels[1:4]]))

    expected = in_torch.encode_images(pixels)
    assert likeness(found[0], expected) > least
    assert likeness(found[1], expected[:1]) > least
    assert likeness(found[2], expected[1:4]) > least
    assert "openvino" in in_openvino.identity
    assert in_openvino.identity != in_torch.identity
    np.testing.assert_allclose(
        in_openvino.encode_texts(["a cat"]), in_torch.encode_texts(["a cat"]), atol=0.02
    )
    seeing_and_reading = in_openvino.memory_bytes
    in_openvino.release_texts()
    assert in_openvino.memory_bytes < seeing_and_reading / 5
    assert likeness(in_openvino.encode_images(pixels), expected) > least


def test_int8_is_near_enough_and_calibrated_once(
    name: str,
    in_torch: OpenClipCaptioner,
    pixels: FloatArray,
    pictures: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Engine(
        backend="openvino", precision="int8", calibration_dir=pictures, cache_dir=tmp_path
    )
    caplog.set_level(logging.INFO, logger="worker.captioning")
    first = OpenClipCaptioner(name, 1, engine)
    assert "calibrating int8 with 18 pictures" in caplog.text
    caplog.clear()
    second = OpenClipCaptioner(name, 1, engine)

    assert "calibrating" not in caplog.text
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_allclose(
        second.encode_images(pixels), first.encode_images(pixels), atol=0.001
    )
    # Weights drawn by lot suffer more from 8 bits than trained ones.
    assert likeness(first.encode_images(pixels), in_torch.encode_images(pixels)) > 0.95
    assert "int8" in first.identity


def test_torch_runs_the_model_where_the_extra_is_missing(
    name: str,
    in_torch: OpenClipCaptioner,
    pixels: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    captioner = OpenClipCaptioner(name, 1, Engine(backend="openvino"))

    assert likeness(captioner.encode_images(pixels), in_torch.encode_images(pixels)) > 0.999
    assert "pip install 'gridscribe[openvino]'" in caplog.text
    assert "openvino" not in captioner.identity


def test_torch_runs_the_model_where_int8_has_too_few_pictures(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(backend="openvino", precision="int8", calibration_dir=tmp_path)

    assert (
        OpenClipCaptioner(name, 1, engine).encode_images(np.zeros((1, 3, 32, 32), np.float32)).any()
    )
    assert f"at least 16 pictures; of those in {tmp_path}" in caplog.text


def test_nothing_is_told_to_the_makers_of_openvino(name: str) -> None:
    OpenClipCaptioner(name, 1, Engine(backend="openvino"))

    assert sys.modules["openvino_telemetry"] is None


def test_int8_without_openvino_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="int8 needs GRIDSCRIBE_CLIP_BACKEND=openvino"):
        Settings.model_validate({"clip_precision": "int8"})
