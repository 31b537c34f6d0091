"""Pictures as ComfyUI's IMAGE tensors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

SAMPLES = Path(__file__).parents[3] / "gridscribe" / "samples"

RED = (1.0, 0.0, 0.0)
GREEN = (0.0, 1.0, 0.0)
BLUE = (0.0, 0.0, 1.0)


def plain(
    *colors: tuple[float, ...],
    height: int = 32,
    width: int = 32,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """A batch of one-coloured pictures, (B, H, W, C)."""
    rows = [torch.tensor(color, dtype=dtype).expand(height, width, len(color)) for color in colors]
    return torch.stack(rows)


def photo(name: str, size: tuple[int, int] = (256, 256)) -> torch.Tensor:
    """A sample photo, (1, H, W, 3)."""
    with Image.open(SAMPLES / name) as image:
        pixels = np.asarray(image.convert("RGB").resize(size), dtype=np.float32) / 255
    return torch.from_numpy(pixels).unsqueeze(0)


def color_at(sheet: torch.Tensor, x: int, y: int) -> tuple[float, ...]:
    return tuple(round(value, 2) for value in sheet[0, y, x].tolist())
