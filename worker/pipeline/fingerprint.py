"""A picture's fingerprint, by which copies are found without a model."""

from dataclasses import dataclass
from typing import Self

from PIL import Image

SIDE = 8
"""Of the grid of brightness differences: 64 bits."""
NOISE = 2
"""Levels of 255 by which neighbours must differ to count: flat areas shall not flicker."""
MAX_BITS = 5
"""By which copies may differ: rescaled, recompressed and lightly retouched ones stay below."""
MAX_TINT = 20
"""Levels of 255 by which the mean colour of any quarter may differ: plain pictures have no bits."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    bits: int
    """Where brightness falls from left to right: the difference hash, dHash."""
    tints: bytes
    """Mean red, green and blue of each quarter."""

    @classmethod
    def of(cls, picture: Image.Image) -> Self:
        picture = picture.convert("RGB")
        grey = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX).tobytes()
        bits = 0
        for at in range(SIDE * (SIDE + 1)):
            if at % (SIDE + 1):
                bits = bits << 1 | (grey[at - 1] > grey[at] + NOISE)
        return cls(bits, picture.resize((2, 2), Image.Resampling.BOX).tobytes())

    def is_copy_of(self, other: Self) -> bool:
        tints = zip(self.tints, other.tints, strict=True)
        return (self.bits ^ other.bits).bit_count() <= MAX_BITS and all(
            abs(one - two) <= MAX_TINT for one, two in tints
        )
