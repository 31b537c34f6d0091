"""Models of the open_clip library, on CUDA where there is one, else on the CPU."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import open_clip  # type: ignore[import-untyped] # ships no types
import torch
from huggingface_hub import constants as hub
from PIL import Image
from torch import nn

from shared.vocabulary import FACETS, NULL_FACET
from worker.captioning.calibration import Calibration
from worker.captioning.captioner import FloatArray, ModelUnavailable, Scoring
from worker.captioning.cores import available_cores
from worker.captioning.engine import TORCH, Engine, Tower
from worker.captioning.openvino_tower import OpenVinoTower
from worker.captioning.preprocessing import PixelTransform
from worker.captioning.torch_tower import TorchTower, as_features, out_of_memory_named

logger = logging.getLogger(__name__)

HUB_PROBE_SECONDS = 3.0
TEXT_BATCH = 64
LOCAL_DIR = "local-dir:"

HUGGING_FACE_NAMES = {
    # OpenAI trained with an approximation of GELU; the plain names would give wrong features.
    "openai/clip-vit-base-patch32": ("ViT-B-32-quickgelu", "openai"),
    "openai/clip-vit-base-patch16": ("ViT-B-16-quickgelu", "openai"),
    "openai/clip-vit-large-patch14": ("ViT-L-14-quickgelu", "openai"),
}


def parse_name(name: str) -> tuple[str, str | None]:
    """A model's name as open_clip's architecture and tag; no tag where the first says it all.

    Understood: `ARCHITECTURE:TAG`, `hf-hub:org/name`, `local-dir:/path` and the names of OpenAI's
    models on the hub. Raises ModelUnavailable.
    """
    if name in HUGGING_FACE_NAMES:
        return HUGGING_FACE_NAMES[name]
    if name.startswith(("hf-hub:", LOCAL_DIR)):
        return name, None
    architecture, _, tag = name.partition(":")
    if (architecture, tag) not in open_clip.list_pretrained():
        raise ModelUnavailable(
            name,
            "open_clip knows no such model; write ARCHITECTURE:TAG as in "
            "ViT-B-32:laion2b_s34b_b79k, hf-hub:org/name or local-dir:/path",
        )
    return architecture, tag


class OpenClipCaptioner:
    """A contrastive image and text model with its preprocessing and tokenizer."""

    facets = frozenset({*FACETS, NULL_FACET})
    uses_templates = True

    def __init__(self, name: str, threads: int | None = None, engine: Engine = TORCH) -> None:
        """Downloads the weights where they are not on disk. Raises ModelUnavailable."""
        self.name = name
        self._cores = threads or available_cores()
        self._engine = engine
        on_gpu = engine.backend == "torch" and torch.cuda.is_available()
        self._place(torch.device("cuda" if on_gpu else "cpu"))
        model, tokenizer = _load(name)
        self._transform = _pixel_transform(open_clip.get_model_preprocess_cfg(model))
        self.scoring = Scoring(
            scale=float(model.logit_scale.detach().exp()), min_confidence=0.3, min_margin=0.05
        )
        openvino = self._openvino_tower(model.eval()) if engine.backend == "openvino" else None
        if openvino is not None:
            _keep_only(model, lambda part: part != "visual")
        try:
            model.to(device=self._device, dtype=self._dtype)
        except torch.cuda.OutOfMemoryError as error:
            raise ModelUnavailable(name, f"no room on {self._device}: {error}") from error
        self._model: Any = None if openvino else model
        """None where torch is not what sees."""
        self._tower: Tower | None = openvino or self._torch_tower()
        self._tower_identity = self._tower.identity
        self._reader: _Reader | None = (model, tokenizer)
        self._reading = threading.Lock()

    @property
    def identity(self) -> str:
        parts = [self._weights, str(self._dtype), self._tower_identity]
        return " ".join(part for part in parts if part)

    @property
    def _weights(self) -> str:
        parts = [self.name, f"open_clip={version('open_clip_torch')}"]
        if self.name.startswith(LOCAL_DIR):
            for path in sorted(Path(self.name.removeprefix(LOCAL_DIR)).iterdir()):
                stat = path.stat()
                parts.append(f"{path.name}={stat.st_size}@{stat.st_mtime_ns}")
        return " ".join(parts)

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def streams(self) -> int:
        return self._sees.streams

    @property
    def best_batch(self) -> int | None:
        return self._sees.best_batch

    @property
    def input_size(self) -> int:
        return self._transform.input_size

    @property
    def forks(self) -> bool:
        return self._device.type == "cpu" and isinstance(self._tower, TorchTower)

    def preprocess(self, picture: Image.Image) -> FloatArray:
        return self._transform(picture)

    def encode_images(self, pixels: FloatArray) -> FloatArray:
        return self._sees.encode(pixels)

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        parts = []
        torch.set_num_threads(self._cores)  # of this thread: those that see have one core each
        with self._reading:
            model, tokenizer = self._reader = self._reader or self._load_reader()
            for start in range(0, len(texts), TEXT_BATCH):
                tokens = tokenizer(list(texts[start : start + TEXT_BATCH])).to(self._device)
                with torch.inference_mode(), out_of_memory_named():
                    parts.append(as_features(model.encode_text(tokens)))
        return np.concatenate(parts)

    def release_texts(self) -> None:
        with self._reading:
            self._reader = None
            if self._model is not None:
                _keep_only(self._model, lambda part: part == "visual")

    def release_images(self) -> None:
        with self._reading:
            if self._reader is not None:
                _keep_only(self._reader[0], lambda part: part != "visual")
            self._model = self._tower = None

    @property
    def memory_bytes(self) -> int:
        reader = self._reader
        models = [model for model in (self._model, reader[0] if reader else None) if model]
        sizes: dict[int, int] = {
            id(each): each.nbytes for model in models for each in model.parameters()
        }
        return sum(sizes.values()) + (self._tower.own_memory_bytes if self._tower else 0)

    def warm_up(self) -> None:
        side = self._transform.size
        self.encode_images(np.zeros((1, 3, side, side), dtype=np.float32))

    def move_to_cpu(self) -> bool:
        if self._device.type == "cpu":
            return False
        with self._reading:  # texts are encoded on one device from end to end
            self._reader = None
            self._place(torch.device("cpu"))
            self._model = self._model.to(device=self._device, dtype=self._dtype)
            self._tower = self._torch_tower()
        torch.cuda.empty_cache()
        return True

    @property
    def _sees(self) -> Tower:
        if self._tower is None:
            raise RuntimeError(f"the part of {self.name!r} that sees was let go")
        return self._tower

    def _torch_tower(self) -> TorchTower:
        return TorchTower(
            _Seeing(self._model),
            self._transform.size,
            device=self._device,
            dtype=self._dtype,
            cores=self._cores,
        )

    def _openvino_tower(self, model: Any) -> Tower | None:
        """None, and a line in the log, where OpenVINO cannot run the model."""
        try:
            return OpenVinoTower(
                _Seeing(model),
                self._transform.size,
                cores=self._cores,
                precision=self._engine.precision,
                calibration=Calibration(
                    self._engine, self._weights, self._transform.input_size, self._transform
                ),
            )
        except ImportError as error:
            reason = f"{error}; install the extra: pip install 'gridscribe[openvino]'"
        except Exception as error:  # noqa: BLE001 # a model may hold what it cannot convert
            reason = str(error)
        logger.error("OpenVINO cannot run %r, torch does: %s", self.name, reason)
        return None

    def _load_reader(self) -> "_Reader":
        """The whole model again, without the part that sees: no library loads only one half."""
        model, tokenizer = _load(self.name)
        _keep_only(model, lambda part: part != "visual")
        with out_of_memory_named():
            return model.eval().to(device=self._device, dtype=self._dtype), tokenizer

    def _place(self, device: torch.device) -> None:
        self._device = device
        halves = self._engine.precision != "float32" and _computes_in_bfloat16(device)
        self._dtype = torch.bfloat16 if halves else torch.float32


class _Seeing(nn.Module):
    """`encode_image` as a module: some of open_clip's do more in it than run their `visual`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        encoded: torch.Tensor = self.model.encode_image(pixels)
        return encoded


def _computes_in_bfloat16(device: torch.device) -> bool:
    """Where the hardware has it, bf16 weights are 2 to 3.5 times as fast as fp32; else slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported()


_Reader = tuple[Any, Callable[[list[str]], torch.Tensor]]
"""Model and tokenizer."""


def _keep_only(model: Any, wanted: Callable[[str], bool]) -> None:
    """Drops the other parts of a model: every kind of open_clip's sees with `visual` alone."""
    for name in [name for name, _ in model.named_children() if not wanted(name)]:
        delattr(model, name)
    if wanted("visual"):
        for name in [name for name, _ in model.named_parameters(recurse=False)]:
            setattr(model, name, None)


def _load(name: str) -> _Reader:
    """Model and tokenizer, on the CPU. Raises ModelUnavailable."""
    architecture, tag = parse_name(name)
    no_hub = None if name.startswith(LOCAL_DIR) else _why_no_hub()
    try:
        with _from_disk_only(on=no_hub is not None or name.startswith(LOCAL_DIR)):
            model = open_clip.create_model(
                architecture, pretrained=tag, device="cpu", require_pretrained=True
            )
            return model, open_clip.get_tokenizer(architecture)
    except Exception as error:
        # open_clip, the hub and safetensors each raise their own for weights they cannot get.
        reason = no_hub or (str(error) or repr(error)).splitlines()[0]
        raise ModelUnavailable(name, reason) from error


def _why_no_hub() -> str | None:
    """None where the hub answers."""
    if hub.is_offline_mode():
        return "its weights are not on disk and HF_HUB_OFFLINE forbids to download them"
    try:
        httpx.head(hub.ENDPOINT, timeout=HUB_PROBE_SECONDS)
    except httpx.HTTPError as error:
        return f"its weights are not on disk and the hub {hub.ENDPOINT} does not answer: {error}"
    return None


@contextmanager
def _from_disk_only(*, on: bool) -> Iterator[None]:
    """Left alone, the hub's client retries each file for most of a minute and logs every try."""
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = before or on
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def _pixel_transform(config: dict[str, Any]) -> PixelTransform:
    """open_clip's own description of a model's input, as ours."""
    size = config["size"]
    if isinstance(size, (tuple, list)):
        height, width = size
        if height != width:
            raise ValueError(f"a model input of {width} x {height} is not supported, only squares")
        size = height
    return PixelTransform(
        size=size,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resample=Image.Resampling[str(config["interpolation"]).upper()],
        resize_mode=config["resize_mode"],
    )
