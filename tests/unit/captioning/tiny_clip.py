"""A small random model as open_clip stores its own."""

import json
from pathlib import Path

import open_clip  # type: ignore[import-untyped] # ships no types
import torch
from safetensors.torch import save_file

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}
PREPROCESS = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


def make_tiny_clip() -> open_clip.CLIP:
    torch.manual_seed(1)
    return open_clip.CLIP(**TINY).eval()


def save_tiny_clip(model: open_clip.CLIP, folder: Path) -> None:
    config = {"model_cfg": TINY, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
