"""Every setting of every process, read once from the environment (`GRIDSCRIBE_*`)."""

import os
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import field_validator, model_validator

from shared.setting_groups import (
    MEBIBYTE,
    AccessSettings,
    AddressSettings,
    CaptioningSettings,
    CompatibilitySettings,
    DrawingSettings,
    InboundSettings,
    LimitSettings,
    PlaceSettings,
    QueueSettings,
    RetentionSettings,
    default_cache_dir,
)

__all__ = [
    "MEBIBYTE",
    "Settings",
    "default_cache_dir",
    "get_settings",
    "read_settings",
    "take_secrets",
]


class Settings(
    PlaceSettings,
    AccessSettings,
    CaptioningSettings,
    QueueSettings,
    DrawingSettings,
    LimitSettings,
    AddressSettings,
    InboundSettings,
    CompatibilitySettings,
    RetentionSettings,
):
    """Defaults suit one machine; docs/settings.md tells each one's meaning in production."""

    @field_validator(
        "clip_models",
        "font_dirs",
        "allowed_networks",
        "allowed_ports",
        "inbound_roots",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_ports", mode="before")
    @classmethod
    def _every_port(cls, value: object) -> object:
        return None if value in ("*", ("*",)) else value

    @model_validator(mode="after")
    def _check_precision(self) -> Self:
        if self.clip_precision == "int8" and self.clip_backend != "openvino":
            raise ValueError(
                "GRIDSCRIBE_CLIP_PRECISION=int8 needs GRIDSCRIBE_CLIP_BACKEND=openvino"
            )
        return self

    @property
    def celery_broker_url(self) -> str:
        """The broker in Celery's spelling, which names a Unix socket differently from redis-py."""
        if self.broker_url:
            return self.broker_url
        if self.redis_url.startswith("unix://"):
            return "redis+socket://" + self.redis_url.removeprefix("unix://")
        return self.redis_url

    @property
    def effective_storage_url(self) -> str:
        """`storage_url`, or the folder below `data_dir` that stands in for it."""
        return self.storage_url or (self.data_dir / "storage").resolve().as_uri()


@cache
def get_settings() -> Settings:
    """The process's settings; read on first use, never at import."""
    return read_settings()


def read_settings() -> Settings:
    """The settings as they are now, secrets in files included."""
    take_secrets(Settings().secrets_dir)
    return Settings()


def take_secrets(folder: Path) -> None:
    """Set each variable that is not set and that a file in `folder` is named after, in any case:
    ours, and those by which the storage finds its bucket.

    That is how Docker and Kubernetes hand secrets over: unlike a variable of a container they show
    in no description of it. Raises `OSError` for a file that cannot be read.
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        name = path.name.upper()
        if name.startswith(("GRIDSCRIBE_", "AWS_", "REDIS_URL")) and path.is_file():
            os.environ.setdefault(name, path.read_text("utf-8").strip())
