"""Between ComfyUI's IMAGE tensors and PNG files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .host import raise_if_interrupted
from .sheet_order import SheetError

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def write_pictures(
    batches: Sequence[object], folder: Path, embedded: Mapping[str, object]
) -> tuple[Path, ...]:
    """Write every image of every batch as `image_1.png`, `image_2.png` and on.

    One image at a time leaves its device, so that a large batch is not held twice.

    Args:
        batches: IMAGE tensors, (B, H, W, C) with C of 1, 3 or 4 and values from 0 to 1, on any
            device; batches may differ in size.
        embedded: Goes into each file as PNG text, a JSON value a key, as Save Image does it.

    Raises:
        SheetError: something is no such tensor, or there is no image.
    """
    texts = PngInfo()
    for key, value in embedded.items():
        texts.add_text(key, json.dumps(value))
    paths: list[Path] = []
    for image in _images(batches):
        raise_if_interrupted()
        paths.append(folder / f"image_{len(paths) + 1}.png")
        # Level 1: the file lives for one upload, and level 6 takes three times as long.
        image.save(paths[-1], pnginfo=texts, compress_level=1)
    if not paths:
        raise SheetError("images: the batch is empty; a sheet needs at least one image")
    return tuple(paths)


def read_page(path: Path) -> torch.Tensor:
    """An IMAGE tensor, (1, H, W, 3) in float32 from 0 to 1.

    Raises:
        SheetError: it is no PNG that can be read.
    """
    try:
        with Image.open(path, formats=("PNG",)) as page:
            pixels = np.asarray(page.convert("RGB"), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SheetError(f"{path.stem} of the sheet cannot be read: {error}") from error
    return torch.from_numpy(pixels / 255).unsqueeze(0)


def _images(batches: Sequence[object]) -> Iterable[Image.Image]:
    for number, batch in enumerate(batches, start=1):
        if not isinstance(batch, torch.Tensor):
            raise SheetError(
                f"images: input {number} is no IMAGE but {type(batch).__name__};"
                " connect an output of type IMAGE"
            )
        if batch.ndim != 4 or batch.shape[3] not in _MODES or 0 in batch.shape[1:]:
            raise SheetError(
                f"images: input {number} has the shape {tuple(batch.shape)}; an IMAGE has"
                " (images, height, width, channels) with 1, 3 or 4 channels"
            )
        for image in batch:
            yield _picture(image)


def _picture(image: torch.Tensor) -> Image.Image:
    values = image.detach().to(device="cpu", dtype=torch.float32).numpy()
    # Broken samplers give NaN: black, rather than whatever a cast makes of it.
    values = np.nan_to_num(values, nan=0.0).clip(0, 1)
    pixels = np.rint(values * 255).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
