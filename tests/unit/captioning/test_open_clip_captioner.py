import json
import shutil
import time
from pathlib import Path

import numpy as np
import open_clip  # type: ignore[import-untyped] # ships no types
import pytest
import torch
from huggingface_hub import constants as hub
from PIL import Image
from safetensors.torch import save_file

from tests.unit.captioning.tiny_clip import PREPROCESS, TINY, make_tiny_clip, save_tiny_clip
from worker.captioning.captioner import ModelUnavailable, OutOfDeviceMemory
from worker.captioning.open_clip_captioner import OpenClipCaptioner, parse_name


@pytest.fixture(scope="module")
def original() -> open_clip.CLIP:
    return make_tiny_clip()


@pytest.fixture(scope="module")
def folder(original: open_clip.CLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-clip")
    save_tiny_clip(original, folder)
    return folder


@pytest.fixture(scope="module")
def captioner(folder: Path) -> OpenClipCaptioner:
    return OpenClipCaptioner(f"local-dir:{folder}", threads=1)


def test_a_model_in_a_local_folder_gives_the_features_of_the_original(
    original: open_clip.CLIP, captioner: OpenClipCaptioner
) -> None:
    picture = Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 50)
    pixels = np.stack([captioner.preprocess(picture), np.zeros((3, 32, 32), np.float32)])
    texts = ["a photo of a cat", "a dog"]
    with torch.inference_mode():
        images = original.encode_image(torch.from_numpy(pixels), normalize=True).numpy()
        words = original.encode_text(
            open_clip.SimpleTokenizer(context_length=16)(texts), normalize=True
        ).numpy()

    found_images, found_words = captioner.encode_images(pixels), captioner.encode_texts(texts)

    # bf16 weights, where the hardware has them, keep 8 bits.
    np.testing.assert_allclose(found_images, images, atol=0.02)
    np.testing.assert_allclose(found_words, words, atol=0.02)
    assert found_images.dtype == found_words.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found_images, axis=1), 1, rtol=1e-5)


def test_the_models_own_preprocessing_and_temperature_are_used(
    original: open_clip.CLIP, captioner: OpenClipCaptioner
) -> None:
    white = captioner.preprocess(Image.new("RGB", (90, 10), "white"))

    assert captioner.input_size == 32
    assert white.shape == (3, 32, 32)
    assert white.max() == pytest.approx((1 - 0.5) / 0.25)
    assert captioner.scoring.scale == pytest.approx(
        float(original.logit_scale.detach().exp()), rel=1e-3
    )


def test_the_identity_changes_with_the_weights(folder: Path, captioner: OpenClipCaptioner) -> None:
    before = captioner.identity
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes())

    assert captioner.identity != before


def test_many_texts_are_encoded_in_parts(captioner: OpenClipCaptioner) -> None:
    texts = [f"a photo of {n}" for n in range(150)]

    features = captioner.encode_texts(texts)

    assert features.shape == (150, 32)
    np.testing.assert_allclose(features[149], captioner.encode_texts(texts[149:])[0], atol=0.02)


def test_the_text_encoder_is_let_go_and_loaded_again_for_new_texts(folder: Path) -> None:
    captioner = OpenClipCaptioner(f"local-dir:{folder}", threads=1)
    pixels = np.zeros((1, 3, 32, 32), np.float32)
    whole = captioner.memory_bytes
    texts, image = captioner.encode_texts(["a cat"]), captioner.encode_images(pixels)

    captioner.release_texts()
    seeing = captioner.memory_bytes

    assert seeing < whole / 5  # most of this model is its table of 49,408 words
    np.testing.assert_array_equal(captioner.encode_images(pixels), image)
    assert captioner.memory_bytes == seeing

    np.testing.assert_array_equal(captioner.encode_texts(["a cat"]), texts)
    assert captioner.memory_bytes <= whole
    captioner.release_texts()
    assert captioner.memory_bytes == seeing


def test_a_text_encoder_that_cannot_be_loaded_again_says_so(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "model")
    captioner = OpenClipCaptioner(f"local-dir:{copied}", threads=1)
    captioner.release_texts()
    shutil.rmtree(copied)

    with pytest.raises(ModelUnavailable, match="not found"):
        captioner.encode_texts(["a cat"])
    assert captioner.encode_images(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 32)


def test_a_model_with_a_text_tower_of_its_own_is_halved_as_well(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = {"model_cfg": {**TINY, "custom_text": True}, "preprocess_cfg": PREPROCESS}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(
        open_clip.CustomTextCLIP(**TINY).state_dict(), tmp_path / "open_clip_model.safetensors"
    )
    captioner = OpenClipCaptioner(f"local-dir:{tmp_path}", threads=1)
    texts, whole = captioner.encode_texts(["a cat"]), captioner.memory_bytes

    captioner.release_texts()

    assert captioner.memory_bytes < whole / 5
    assert captioner.encode_images(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 32)
    np.testing.assert_array_equal(captioner.encode_texts(["a cat"]), texts)


def test_running_out_of_device_memory_is_told_by_its_name(
    captioner: OpenClipCaptioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_batch: torch.Tensor) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB.")

    # The one part that cannot run here: a full accelerator.
    monkeypatch.setattr(captioner._tower, "_run", fail)

    with pytest.raises(OutOfDeviceMemory, match="CUDA out of memory"):
        captioner.warm_up()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/clip-vit-base-patch32", ("ViT-B-32-quickgelu", "openai")),
        ("openai/clip-vit-base-patch16", ("ViT-B-16-quickgelu", "openai")),
        ("openai/clip-vit-large-patch14", ("ViT-L-14-quickgelu", "openai")),
        ("ViT-B-32:laion2b_s34b_b79k", ("ViT-B-32", "laion2b_s34b_b79k")),
        ("ViT-B-32-256:datacomp_s34b_b86k", ("ViT-B-32-256", "datacomp_s34b_b86k")),
        ("ViT-B-16-SigLIP2-256:webli", ("ViT-B-16-SigLIP2-256", "webli")),
        ("hf-hub:org/name", ("hf-hub:org/name", None)),
        ("local-dir:/models/mine", ("local-dir:/models/mine", None)),
    ],
)
def test_understands_the_names_of_models(name: str, expected: tuple[str, str | None]) -> None:
    assert parse_name(name) == expected
    assert expected[1] is None or expected in open_clip.list_pretrained()


@pytest.mark.parametrize("name", ["", "ViT-B-32", "ViT-B-32:no_such_tag", "no such model:openai"])
def test_refuses_names_that_it_does_not_understand(name: str) -> None:
    with pytest.raises(ModelUnavailable, match="write ARCHITECTURE:TAG"):
        OpenClipCaptioner(name)


def test_without_a_hub_a_model_fails_fast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    started = time.monotonic()

    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        OpenClipCaptioner("ViT-B-32:laion2b_s34b_b79k")

    assert time.monotonic() - started < 10
    assert not hub.is_offline_mode()


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="open_clip_config"):
        OpenClipCaptioner(f"local-dir:{tmp_path}")
