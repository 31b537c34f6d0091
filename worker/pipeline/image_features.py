"""A model's features of pictures: packed for the store, and what their likeness says.

Features are compared by their cosine; those of different models say nothing about each other.
"""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def pack(features: FloatArray) -> str:
    """(D,) as base64 of little-endian float16: 2.7 bytes a number, and a cosine within 0.001."""
    return base64.b64encode(features.astype("<f2").tobytes()).decode()


def unpack(packed: Sequence[str]) -> FloatArray:
    """N packed features of one model as L2-normalised (N, D)."""
    rows = [np.frombuffer(base64.b64decode(text), dtype="<f2") for text in packed]
    features = np.stack(rows).astype(np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    normalised: FloatArray = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return normalised


def chain(features: FloatArray) -> list[int]:
    """An order of (N, D) in which neighbours are alike: from the first on always to the nearest.

    The nearest-neighbour heuristic for the shortest path (Rosenkrantz, Stearns and Lewis 1977).
    """
    order, left = [0], np.ones(len(features), dtype=bool)
    left[0] = False
    while left.any():
        likeness = np.where(left, features @ features[order[-1]], -np.inf)
        nearest = int(likeness.argmax())
        order.append(nearest)
        left[nearest] = False
    return order
