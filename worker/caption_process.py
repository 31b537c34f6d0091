"""What all threads of a captioning worker share: the model."""

import sys
from dataclasses import replace
from functools import cache

from shared.settings import MEBIBYTE, Settings, get_settings
from worker.captioning.captioning import Captioning, CaptioningConfig
from worker.captioning.engine import Engine


@cache
def get_captioning() -> Captioning:
    """The process's model; `load()` it before the first unit."""
    # Only Linux forks safely what has loaded torch.
    in_processes = sys.platform == "linux"
    return Captioning(replace(captioning_config(get_settings()), in_processes=in_processes))


def captioning_config(settings: Settings) -> CaptioningConfig:
    return CaptioningConfig(
        models=settings.clip_models,
        fallback_to_starter=settings.fallback_to_starter,
        cache_dir=settings.cache_dir,
        threads=settings.clip_threads,
        max_batch=settings.max_batch,
        batch_wait_ms=settings.batch_wait_ms,
        batch_timeout_seconds=settings.batch_timeout_seconds,
        model_retry_seconds=settings.model_retry_seconds,
        engine=Engine(
            backend=settings.clip_backend,
            precision=settings.clip_precision,
            calibration_dir=settings.clip_calibration_dir,
            cache_dir=settings.cache_dir,
        ),
        vocabularies_dir=settings.vocabularies_dir,
        model_memory_bytes=settings.model_memory_mb * MEBIBYTE,
        text_cache_bytes=settings.text_cache_mb * MEBIBYTE,
        image_cache_bytes=settings.image_cache_mb * MEBIBYTE,
    )
