"""Every setting with its default and its meaning, in groups.

docs/settings.md is made of the classes' and the settings' docstrings (`make openapi`).
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    Field,
    IPvAnyNetwork,
    StringConstraints,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.logging import LogFormat
from shared.tenants import TenantName

MEBIBYTE = 1024 * 1024


def default_cache_dir() -> Path:
    """`gridscribe` in the user's folder for caches (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gridscribe"


class _Group(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="GRIDSCRIBE_", extra="ignore", use_attribute_docstrings=True
    )


class PlaceSettings(_Group):
    """Where the parts find each other."""

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("GRIDSCRIBE_REDIS_URL", "REDIS_URL"),
    )
    """The Redis (7 or newer) or Valkey that keeps jobs: `redis://`, `rediss://` or `unix:///path`.
    `REDIS_URL` is read where it is not set. In production turn its append-only file on and
    set `appendfsync always` and `maxmemory-policy noeviction`.
    """

    broker_url: str | None = None
    """Any broker that Celery knows, such as `amqp://`. It carries wake-up calls only; jobs stay
    in Redis.
    """

    data_dir: Path = Path("gridscribe-data")
    """Folder for files of this machine: storage where no other is set, and the development
    stack's own.
    """

    cache_dir: Path = Field(default_factory=default_cache_dir)
    """Features of the vocabulary's terms, which take a while to compute. Safe to delete at any
    time.
    """

    storage_url: str | None = None
    """Where uploads and sheets lie: `file:///folder`, which API and workers must share, or
    `s3://bucket/prefix` with the usual `AWS_*` variables: see [storage](storage.md).
    """

    secrets_dir: Path = Path("/run/secrets")
    """A folder whose files stand in for variables that are not set: `gridscribe_redis_url` for
    `GRIDSCRIBE_REDIS_URL`, likewise any other setting here and the `AWS_*` ones.
    """

    log_level: str = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""

    log_format: LogFormat = "text"
    """`json` writes an object a line ([operations.md](operations.md))."""

    failpoints: str = ""
    """Faults that tests inject, named as in `shared/failpoints.py`. Never set it in production.
    """


class AccessSettings(_Group):
    """Who may call.

    [security.md](security.md) says how keys and tenants work.
    """

    auth: Literal["required", "open"] = "required"
    """Every caller needs an API key. With `open`, callers that reach the API on a loopback
    address need none; `gridscribe dev` asks for it there.
    """

    operator_tenant: TenantName = "default"
    """The tenant whose keys may also read what concerns the whole service."""


class CaptioningSettings(_Group):
    """Captioning."""

    clip_models: Annotated[tuple[str, ...], NoDecode] = ("starter",)
    """Models that callers may ask for, comma separated; the first is the default. API and
    captioning workers need the same list. For production: `ViT-B-32-256:datacomp_s34b_b86k`
    on CPUs, `ViT-B-16-SigLIP2-256:webli` on GPUs.
    """

    fallback_to_starter: bool = True
    """While the configured model cannot be loaded, caption with `starter` and warn on the job.
    With `false` such images are labeled with their filenames.
    """

    clip_threads: int | None = Field(default=None, ge=1)
    """Cores for the model, each of which runs batches of its own, and pictures decoded at once.
    Set it where several captioning workers share a machine, to cores divided by workers, and
    in containers with a share of the cores.
    """

    clip_backend: Literal["torch", "openvino"] = "torch"
    """What runs open_clip's models: `torch`, or `openvino`, faster on CPUs and only there
    ([captioning](captioning.md#speed)). It needs the extra `gridscribe[openvino]`; where that
    cannot run a model, torch does and the log says why.
    """

    clip_precision: Literal["auto", "float32", "int8"] = "auto"
    """`auto` is bfloat16 where the hardware has it and float32 elsewhere, `float32` forces that.
    `int8`, with OpenVINO only, is nearly twice as fast and changes some labels.
    """

    clip_calibration_dir: Path | None = None
    """A folder of at least 16 pictures such as the service will see; 100 are better. `int8`
    learns its scales from them, once.
    """

    max_batch: int = Field(default=32, ge=1)
    """Images of one batch through the model. More helps a GPU; a batch that does not fit in its
    memory is halved. On a CPU batches hold 4 at most, with OpenVINO 8: more gain nothing
    there.
    """

    batch_wait_ms: float = Field(default=4.0, ge=0)
    """Milliseconds to wait for a batch to fill once its first image is there."""

    batch_timeout_seconds: float = Field(default=60.0, gt=0)
    """A batch that takes longer is taken for hung: the worker process ends and is started again,
    and its images go to another.
    """

    model_retry_seconds: float = Field(default=60.0, gt=0)
    """Time between two tries to load a model that could not be loaded."""

    vocabularies_dir: Path | None = None
    """A folder with one folder of facet files for each vocabulary that requests may name
    ([captioning](captioning.md)). API and captioning workers need the same.
    """

    model_memory_mb: int = Field(default=4096, ge=1)
    """Memory for the weights of the models that a captioning worker keeps loaded. Past it the
    one that was not asked for the longest goes, never the default or one at work.
    """

    text_cache_mb: int = Field(default=256, ge=0)
    """Disk, in the cache folder, for features of vocabularies and requests' own words; the least
    recently used go.
    """

    image_cache_mb: int = Field(default=256, ge=0)
    """Disk, in the cache folder, for features of pictures, some 2 KB each, so that the same
    picture is looked at once. `0` turns it off.
    """


class QueueSettings(_Group):
    """The queue."""

    chunk_size: int = Field(default=16, ge=1)
    """Images of one piece of captioning work."""

    job_window: int = Field(default=8, ge=1)
    """Chunks of one job that may be handed out at once, so that a huge job leaves room for
    others.
    """

    lease_seconds: float = Field(default=15.0, gt=0)
    """How long a worker may stay silent before its work is given to another. It bounds the delay
    after a crash.
    """

    beat_seconds: float = Field(default=5.0, gt=0)
    """Time between two signs of life of a worker; keep it at a third of the lease or less."""

    max_attempts: int = Field(default=3, ge=1)
    """Attempts at one piece of work before its images are given up."""

    stop_seconds: float = Field(default=6.0, ge=0)
    """How long a worker that gets SIGTERM works on; then it hands back what it has not finished,
    and another does it. Keep it a few seconds below the time after which the process is
    killed.
    """


class DrawingSettings(_Group):
    """Drawing."""

    font_dirs: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders of fonts, comma separated, for scripts that the shipped Noto Sans lacks; they come
    before the system's. Compose workers read it.
    """


class LimitSettings(_Group):
    """Limits.

    A request over a limit is answered with 408, 413, 422 or 429 and the limit it met.
    """

    max_request_bytes: int = 512 * MEBIBYTE
    """The body of one request."""

    body_timeout_seconds: float = Field(default=900.0, gt=0)
    """The body of one request, not counting what storage takes."""

    body_grace_seconds: float = Field(default=20.0, gt=0)
    """How long a body may stall or lag behind the rate below."""

    min_body_rate: float = Field(default=16 * 1024, gt=0)
    """Bytes a second, on average over the body."""

    max_file_bytes: int = 64 * MEBIBYTE
    """One image, packed in a zip or not."""

    max_spec_bytes: int = 1 * MEBIBYTE
    """The `spec` part of a request."""

    max_csv_bytes: int = 8 * MEBIBYTE
    """The CSV of a request."""

    max_images: int = 1000
    """Images of one job."""

    max_image_pixels: int = 100_000_000
    """Pixels of one image."""

    max_sheet_pixels: int = 120_000_000
    """Pixels of one page of a sheet. A compose worker holds a page in memory, at 4 bytes a pixel
    or less, once for each process.
    """

    max_archive_ratio: int = 100
    """Unpacked bytes over packed bytes, past which a zip is refused as a bomb."""

    max_queued_jobs: int = 10_000
    """Unfinished jobs of the whole service. Keep it well below what fits in Redis's `maxmemory`.
    """

    max_queued_jobs_per_tenant: int = 1_000
    """Unfinished jobs of one tenant."""

    requests_per_minute: int = Field(default=6_000, ge=1)
    """Requests with a tenant's keys, all of them together. A pause saves up to a minute's worth
    for later.
    """

    images_per_day: int = Field(default=10_000_000, ge=1)
    """Images of the jobs that are accepted from one tenant in a day of UTC."""

    bytes_per_day: int = Field(default=1024 * 1024 * MEBIBYTE, ge=1)
    """Bytes of the images stored for one tenant in a day of UTC, uploads and jobs added up."""

    store_timeout_seconds: float = 1.5
    """How long a request waits for Redis before it is answered with 503."""

    max_event_listeners: int = Field(default=1000, ge=0)
    """Callers that may listen to jobs, or wait for one to end, at once and per API process. Each
    holds a connection: mind the limit of open files.
    """

    max_event_listeners_per_tenant: int = Field(default=100, ge=0)
    """Of those, one tenant's, so that nobody takes all places."""

    event_keep_alive_seconds: float = Field(default=15.0, gt=0)
    """A stream of events that has nothing to tell sends a comment this often. Keep it below the
    idle time-out of proxies on the way.
    """


class AddressSettings(_Group):
    """Addresses that callers name.

    Only public addresses are connected to on a caller's word: see [images by
    URL](images-by-url.md).
    """

    allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    """Networks that are not public and may be connected to all the same, such as
    `10.1.0.0/16,fd00:7::/32`: a render farm's own. Every caller can then reach every host
    there.
    """

    allowed_ports: Annotated[tuple[int, ...] | None, NoDecode] = (80, 443)
    """Ports that may be connected to; `*` for all."""

    fetch_timeout_seconds: float = Field(default=30.0, gt=0)
    """For one image by URL, from looking up its host to its last byte."""

    fetch_total_seconds: float = Field(default=120.0, gt=0)
    """For all images by URL of one request."""

    fetch_concurrency: int = Field(default=4, ge=1)
    """Images by URL that one request fetches at once."""

    public_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$")] = ""
    """Where callers reach the API, such as `https://sheets.example`, for the links in webhooks;
    without it these are paths. `gridscribe dev` sets its own.
    """

    webhook_timeout_seconds: float = Field(default=15.0, gt=0)
    """One attempt at a webhook, in all. A delivery whose deliverer died goes out again after
    twice this time.
    """

    webhook_concurrency: int = Field(default=256, ge=1)
    """Attempts that one deliverer has under way at once."""

    webhook_host_concurrency: int = Field(default=8, ge=1)
    """Attempts under way at once for one tenant at one host; a host that does not answer gets
    one at a time.
    """


class InboundSettings(_Group):
    """Events of render farms.

    [render-farms.md](render-farms.md) says what they are made into.
    """

    inbound_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders, comma separated, whose pictures events may name by path: a farm's shared mount.
    Nothing outside is read. `{tenant}` in one is the tenant of the source; without it every
    tenant's sources read there.
    """

    max_inbound_bytes: int = 1 * MEBIBYTE
    """The body of one event. Raise it for pictures that come inside events."""

    inbound_ttl_seconds: int = Field(default=3 * 24 * 3600, ge=600)
    """How long a repeated event is recognised, and a grid is tried that limits or an outage
    stand in the way of.
    """

    fal_jwks_url: str = "https://rest.alpha.fal.ai/.well-known/jwks.json"
    """Where the public keys of fal's signatures are fetched from, once a day."""


class CompatibilitySettings(_Group):
    """Compatibility."""

    compat_root: Path | None = None
    """The folder in which the [old service's endpoints](compatibility.md) read and write. They
    are there only where it is set.
    """

    compat_wait_seconds: float = Field(default=600, gt=0)
    """How long an old endpoint waits for a sheet before it cancels the job."""


class RetentionSettings(_Group):
    """Retention."""

    job_ttl_seconds: int = 7 * 24 * 3600
    """Finished jobs and their files are kept this long; a job's `ttl_seconds` wins over it."""

    upload_ttl_seconds: int = 24 * 3600
    """Uploads are kept this long."""

    idempotency_ttl_seconds: int = 24 * 3600
    """A repeated `Idempotency-Key` is recognised this long."""

    delivery_ttl_seconds: int = Field(default=3 * 24 * 3600, ge=60)
    """The log of a webhook's delivery, once it has ended."""
