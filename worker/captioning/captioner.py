"""What a model must be able to do to caption pictures. No torch here: arrays are numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float32]


class ModelUnavailable(Exception):  # noqa: N818 # a state of the world, as in "503 unavailable"
    """A model that cannot serve now; trying again later may help."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the captioning model {name!r} cannot be loaded: {reason}")
        self.name = name
        self.reason = reason


class OutOfDeviceMemory(Exception):  # noqa: N818 # named after what torch calls it
    """The batch did not fit into the accelerator's memory; a smaller one may."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a model's cosines become probabilities, and how sure it must be to speak."""

    scale: float
    """Inverse temperature: a cosine is multiplied by it before the softmax."""
    min_confidence: float
    """Least probability of an answer; a request may set its own."""
    min_margin: float
    """Least lead in probability over the runner-up."""
    null_similarity: float = -1.0
    """Cosine that pictures of nothing in particular reach: a term must beat it. -1 for models whose
    cosines mean nothing across pictures; the null prompts alone keep those honest."""


class Captioner(Protocol):
    """A model that puts pictures and texts into one space.

    As many threads at once as it has `streams` may encode pictures, and another one texts beside
    them.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """Changes whenever the text features could; part of the key they are cached under."""

    @property
    def device(self) -> str: ...

    @property
    def streams(self) -> int:
        """Batches that it runs at once, each in a thread of its caller's."""

    @property
    def best_batch(self) -> int | None:
        """Images past which a batch takes as much longer as it is larger; None: the larger the
        better."""

    @property
    def input_size(self) -> int:
        """Pixels that the shorter side of a picture should have before `preprocess`."""

    @property
    def scoring(self) -> Scoring: ...

    @property
    def facets(self) -> frozenset[str]:
        """Facets of the vocabulary that the model is a fair judge of; `null` for its prompts."""

    @property
    def uses_templates(self) -> bool:
        """False for a text encoder that wants bare names."""

    @property
    def forks(self) -> bool:
        """Whether a process that holds it may be forked: it runs no threads of its own there."""

    def preprocess(self, picture: Image.Image) -> FloatArray:
        """A picture of any mode and size as (3, H, W). Called from many threads."""

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        """(N, 3, H, W) to L2-normalised (N, D). Raises OutOfDeviceMemory."""

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """M texts to L2-normalised (M, D). Raises OutOfDeviceMemory, and ModelUnavailable where
        the part that reads was let go and cannot be loaded again."""

    def release_texts(self) -> None:
        """Lets go of the part that reads, until texts are encoded again. From any thread."""

    def release_images(self) -> None:
        """Lets go of the part that sees, for good: other processes do that."""

    @property
    def memory_bytes(self) -> int:
        """Of the weights that are in memory now."""

    def warm_up(self) -> None:
        """Pays for whatever the first batch would pay for."""

    def move_to_cpu(self) -> bool:
        """Leaves an accelerator for good; False where the model is on the CPU already."""
