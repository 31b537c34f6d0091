"""From a picture to what a vision model reads."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from worker.captioning.captioner import FloatArray


@dataclass(frozen=True, slots=True)
class PixelTransform:
    """Resizes, crops and normalises in numpy and Pillow.

    torchvision's transforms would do as well, but torch's thread pool would then run in every
    decoding thread beside the model and starve it.
    """

    size: int
    """Side of the square that the model reads."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: Image.Resampling = Image.Resampling.BICUBIC
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    """Cut what sticks out, pad what is missing, or distort, as the model was trained."""
    crop: float = 1.0
    """Share of the square that is kept, around its centre."""

    @property
    def input_size(self) -> int:
        return round(self.size / self.crop)

    def __call__(self, picture: Image.Image) -> FloatArray:
        """A picture of any mode and size as (3, size, size)."""
        side = (self.size, self.size)
        rgb = _opaque(picture)
        match self.resize_mode:
            case "shortest":
                rgb = ImageOps.fit(rgb, side, self.resample, bleed=(1 - self.crop) / 2)
            case "longest":
                rgb = ImageOps.pad(rgb, side, self.resample, color=(0, 0, 0))
            case "squash":
                rgb = rgb.resize(side, self.resample, reducing_gap=2.0)
        values = np.asarray(rgb)
        planes = np.empty((3, self.size, self.size), np.float32)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            plane = planes[channel]
            np.multiply(values[:, :, channel], np.float32(1 / (255 * std)), out=plane)
            plane -= np.float32(mean / std)
        return planes


def _opaque(picture: Image.Image) -> Image.Image:
    """Transparency over white: what hides below it is often noise."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    rgba = picture.convert("RGBA")
    paper = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(paper, rgba).convert("RGB")
