from typing import Any

import numpy as np
import pytest
from open_clip.transform import (  # type: ignore[import-untyped] # ships no types
    PreprocessCfg,
    image_transform_v2,
)
from PIL import Image

from worker.captioning.preprocessing import PixelTransform

MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def gradient(width: int, height: int) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 64), (20, 500)])
def test_agrees_with_the_models_own_transform(mode: Any, size: tuple[int, int]) -> None:
    picture = gradient(*size)
    reference = image_transform_v2(
        PreprocessCfg(
            size=64, mean=MEAN, std=STD, interpolation="bicubic", resize_mode=mode, fill_color=0
        ),
        is_train=False,
    )

    ours = PixelTransform(64, MEAN, STD, resize_mode=mode)(picture)

    # Cropping before or after the resize moves samples by part of a pixel.
    assert np.abs(ours - reference(picture).numpy()).mean() < 0.03


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I", "F", "I;16"])
def test_takes_pictures_of_every_mode(mode: str) -> None:
    pixels = PixelTransform(16, MEAN, STD)(Image.new(mode, (20, 30)))

    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_takes_pictures_of_every_proportion(size: tuple[int, int]) -> None:
    assert PixelTransform(16, MEAN, STD, crop=0.875)(Image.new("RGB", size)).shape == (3, 16, 16)


def test_transparent_parts_are_white() -> None:
    transform = PixelTransform(8, mean=(0.0,) * 3, std=(1.0,) * 3)

    assert transform(Image.new("RGBA", (8, 8), (255, 0, 0, 0))).min() == 1


def test_the_crop_keeps_the_centre_and_asks_for_a_larger_picture() -> None:
    transform = PixelTransform(8, mean=(0.0,) * 3, std=(1.0,) * 3, crop=0.5)
    picture = Image.new("RGB", (16, 16), "white")
    picture.paste("black", (4, 4, 12, 12))

    assert transform.input_size == 16
    assert transform(picture).max() == 0
