"""Every setting of every process, read once from the environment (`GRIDSCRIBE_*`)."""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    Field,
    IPvAnyNetwork,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.logging import LogFormat
from shared.tenants import TenantName

MEBIBYTE = 1024 * 1024


def default_cache_dir() -> Path:
    """`gridscribe` in the user's folder for caches (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gridscribe"


class Settings(BaseSettings):
    """Defaults suit one machine; see docs/settings.md for each one's meaning in production."""

    model_config = SettingsConfigDict(env_prefix="GRIDSCRIBE_", extra="ignore")

    # Where the parts find each other.
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("GRIDSCRIBE_REDIS_URL", "REDIS_URL"),
    )
    broker_url: str | None = None
    """Any broker Celery knows; None means the same Redis as the store."""
    data_dir: Path = Path("gridscribe-data")
    cache_dir: Path = Field(default_factory=default_cache_dir)
    """Text features and other things that can be computed again; safe to delete at any time."""
    storage_url: str | None = None
    """`s3://bucket/prefix` or `file:///folder`; None means a folder in `data_dir`."""
    secrets_dir: Path = Path("/run/secrets")
    """Its files stand in for variables that are not set; see `take_secrets`."""
    log_level: str = "INFO"
    log_format: LogFormat = "text"
    failpoints: str = ""
    """Faults for tests to inject: see shared/failpoints.py. Empty in production."""

    # Who may call: docs/security.md.
    auth: Literal["required", "open"] = "required"
    """`open` lets callers without a key in on loopback addresses, and nowhere else."""
    operator_tenant: TenantName = "default"
    """Its keys may also read `/metrics` and the workers on `/readyz`."""

    # Captioning.
    clip_models: Annotated[tuple[str, ...], NoDecode] = ("starter",)
    """Models this deployment offers, comma separated; the first one is the default."""
    fallback_to_starter: bool = True
    """Serve `starter` while the configured model cannot be loaded; False means filenames."""
    clip_threads: int | None = Field(default=None, ge=1)
    """Cores for the model, and pictures decoded at once; None means all."""
    clip_backend: Literal["torch", "openvino"] = "torch"
    """What runs open_clip's models; `openvino` is an extra and uses the CPU alone."""
    clip_precision: Literal["auto", "float32", "int8"] = "auto"
    """`auto` is bfloat16 where the hardware has it; `int8` needs OpenVINO and pictures."""
    clip_calibration_dir: Path | None = None
    """Pictures such as the service will see, from which int8 learns its scales."""
    max_batch: int = Field(default=32, ge=1)
    batch_wait_ms: float = Field(default=4.0, ge=0)
    batch_timeout_seconds: float = Field(default=60.0, gt=0)
    model_retry_seconds: float = Field(default=60.0, gt=0)

    vocabularies_dir: Path | None = None
    """A folder of facet files for each vocabulary that requests may name beside `default`."""
    model_memory_mb: int = Field(default=4096, ge=1)
    """For the weights of a worker's models; past it the least recently used one goes."""
    text_cache_mb: int = Field(default=256, ge=0)
    """Disk for the text features of requests' own words."""
    image_cache_mb: int = Field(default=256, ge=0)
    """Disk for the features of pictures seen before; 0 keeps none."""

    # The queue. Leases and beats are argued in docs/architecture.md.
    chunk_size: int = Field(default=16, ge=1)
    job_window: int = Field(default=8, ge=1)
    """Chunks of one job that may be out at once, so that a huge job starves nobody."""
    lease_seconds: float = Field(default=15.0, gt=0)
    beat_seconds: float = Field(default=5.0, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    stop_seconds: float = Field(default=6.0, ge=0)
    """What a worker that is told to stop may take to finish what it has in work."""

    # Drawing.
    font_dirs: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders with fonts for scripts that the shipped one lacks, comma separated."""

    # Limits of what one caller may ask.
    max_request_bytes: int = 512 * MEBIBYTE
    body_timeout_seconds: float = Field(default=900.0, gt=0)
    """For one request's body, not counting what our own storage takes."""
    body_grace_seconds: float = Field(default=20.0, gt=0)
    """After which a body must have come at `min_body_rate` on average."""
    min_body_rate: float = Field(default=16 * 1024, gt=0)
    """Bytes a second."""
    max_file_bytes: int = 64 * MEBIBYTE
    max_spec_bytes: int = 1 * MEBIBYTE
    max_csv_bytes: int = 8 * MEBIBYTE
    max_images: int = 1000
    max_image_pixels: int = 100_000_000
    max_sheet_pixels: int = 120_000_000
    """Pixels of one page of a sheet: the most that a compose worker holds in memory."""
    max_archive_ratio: int = 100
    """Unpacked bytes over packed bytes, past which a zip is taken for a bomb."""
    max_queued_jobs: int = 10_000
    max_queued_jobs_per_tenant: int = 1_000
    store_timeout_seconds: float = 1.5
    # What one tenant may use; `gridscribe keys limits` gives a tenant numbers of its own.
    requests_per_minute: int = Field(default=6_000, ge=1)
    images_per_day: int = Field(default=10_000_000, ge=1)
    bytes_per_day: int = Field(default=1024 * 1024 * MEBIBYTE, ge=1)
    """Of stored images; a day is one of UTC."""

    # Addresses that callers name: images by URL, webhooks.
    allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    """Networks that are not public and may be connected to all the same, comma separated."""
    allowed_ports: Annotated[tuple[int, ...] | None, NoDecode] = (80, 443)
    """Comma separated, or `*` for every port, which is None here."""
    fetch_timeout_seconds: float = Field(default=30.0, gt=0)
    """For one image by URL, from the first step to its last byte."""
    fetch_total_seconds: float = Field(default=120.0, gt=0)
    """For all images by URL of one request."""
    fetch_concurrency: int = Field(default=4, ge=1)
    """Images by URL that one request fetches at once."""
    # Webhooks: docs/webhooks.md.
    public_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$")] = ""
    """Where callers reach the API, for the links in webhooks; empty leaves them paths."""
    webhook_timeout_seconds: float = Field(default=15.0, gt=0)
    """For one attempt, from the first step to the last byte of the answer that is read."""
    webhook_concurrency: int = Field(default=256, ge=1)
    """Attempts that one deliverer has under way at once."""
    webhook_host_concurrency: int = Field(default=8, ge=1)
    """Attempts under way at once for one tenant at one host."""
    max_event_listeners: int = Field(default=1000, ge=0)
    """Callers that one API process lets listen to jobs at once, or wait for one to end."""
    max_event_listeners_per_tenant: int = Field(default=100, ge=0)
    """Of those, one tenant's."""
    event_keep_alive_seconds: float = Field(default=15.0, gt=0)
    # The endpoints of the service that came before: docs/compatibility.md.
    compat_root: Path | None = None
    """The folder that they read from and write to; None leaves them out."""
    compat_wait_seconds: float = Field(default=600, gt=0)

    # Events of render farms and generation back ends: docs/render-farms.md.
    inbound_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders whose pictures events may name, comma separated; `{tenant}` in them is filled in."""
    max_inbound_bytes: int = 1 * MEBIBYTE
    """Of one event."""
    inbound_ttl_seconds: int = Field(default=3 * 24 * 3600, ge=600)
    """How long a repeated event is recognised, and how long a grid is tried to be made."""
    fal_jwks_url: str = "https://rest.alpha.fal.ai/.well-known/jwks.json"

    # Retention.
    job_ttl_seconds: int = 7 * 24 * 3600
    upload_ttl_seconds: int = 24 * 3600
    idempotency_ttl_seconds: int = 24 * 3600
    delivery_ttl_seconds: int = Field(default=3 * 24 * 3600, ge=60)
    """For the log of a webhook's delivery, once it has ended."""

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
