"""Sources: whose events come in, how they are known to be genuine, and what is made of them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.job_spec import JobSpec, ShortText, StrictModel
from shared.spec_placeholders import sampled
from shared.webhook_signature import check_secret


class Adapter(StrEnum):
    """Whose events they are."""

    CLOUDEVENTS = "cloudevents"
    S3 = "s3"
    DEADLINE_CLOUD = "deadline_cloud"
    REPLICATE = "replicate"
    COMFYUI_API = "comfyui_api"
    FAL = "fal"
    RUNPOD = "runpod"


class SourceAuth(StrEnum):
    """How a sender shows that it is the source's."""

    SIGNATURE = "signature"
    """Standard Webhooks."""
    BEARER = "bearer"
    API_KEY = "api_key"
    """In the header `X-Api-Key`."""
    BASIC = "basic"
    """The secret is the password; the user's name does not count."""
    ED25519 = "ed25519"
    """fal's signature, by fal's public keys."""
    LINK = "link"
    """The secret is the last part of the address, or `?secret=`: for senders that sign nothing."""


AUTHS: Mapping[Adapter, tuple[SourceAuth, ...]] = MappingProxyType(
    {
        Adapter.CLOUDEVENTS: (SourceAuth.SIGNATURE, SourceAuth.BEARER),
        Adapter.S3: (SourceAuth.BEARER,),
        Adapter.DEADLINE_CLOUD: (SourceAuth.API_KEY, SourceAuth.BASIC),
        Adapter.REPLICATE: (SourceAuth.SIGNATURE,),
        Adapter.COMFYUI_API: (SourceAuth.SIGNATURE,),
        Adapter.FAL: (SourceAuth.ED25519,),
        Adapter.RUNPOD: (SourceAuth.LINK,),
    }
)
"""What each sender can do; the first is taken where none is named."""

Prefix = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
HostPattern = Annotated[
    str, StringConstraints(to_lower=True, pattern=r"^(\*\.)?[A-Za-z0-9_.:-]{1,253}$")
]
FrameRange = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}-[0-9]{1,7}$")]


class OutputTemplate(StrictModel):
    """Where pictures lie, for senders whose events do not say."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    """An address or a path, with places for what the event tells: `{bucket}`, `{key}` and
    `{region}` of s3; `{farm_id}`, `{queue_id}`, `{job_id}` and `{frame}` (`{frame:04}` for 0001)
    of deadline_cloud."""
    frames: FrameRange | None = None
    """`1-240`; None is as many as the job had tasks, from 1."""


class SourceFields(StrictModel):
    """What its owner decides about a source."""

    name: Annotated[ShortText, StringConstraints(min_length=1)]
    adapter: Adapter
    auth: SourceAuth | None = None
    """None for the first one that the adapter knows."""
    spec: JobSpec = JobSpec()
    """Of the grids. `{job_id}`, `{name}` and `{source}` in its title, in its webhook's address and
    in the texts of its metadata stand for the event's own."""
    allowed_hosts: Annotated[tuple[HostPattern, ...], Field(max_length=50)] = ()
    """From where pictures may be fetched, `*.` for all below a name; empty for any public host."""
    path_map: dict[Prefix, Prefix] = Field(default_factory=dict, max_length=50)
    """Beginnings of paths at the sender to those here, below a folder that the operator opened."""
    quiet_seconds: Annotated[float, Field(ge=1, le=24 * 3600)] = 60
    """How long nothing must come until a grid is made of a job whose end was not told."""
    gather: Literal["job", "quiet"] = "job"
    """A grid for each job, or one for all that comes until a quiet time."""
    outputs: OutputTemplate | None = None
    sender: ShortText | None = None
    """fal: the id of the user whose requests these are. fal signs for all of its users."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.auth is not None and self.auth not in AUTHS[self.adapter]:
            offered = ", ".join(AUTHS[self.adapter])
            raise ValueError(f"{self.adapter} has no auth '{self.auth}'; it has {offered}")
        if self.adapter is Adapter.FAL and not self.sender:
            raise ValueError("fal needs `sender`, the id of the user whose requests these are")
        if self.adapter is Adapter.DEADLINE_CLOUD and self.outputs is None:
            raise ValueError("deadline_cloud needs `outputs`: its events do not say where they lie")
        if self.outputs and self.adapter not in (Adapter.S3, Adapter.DEADLINE_CLOUD):
            raise ValueError(f"{self.adapter} takes no `outputs`: its events say where they lie")
        sampled(self.spec)  # a place that nothing fills in is refused
        return self

    @property
    def authentication(self) -> SourceAuth:
        return self.auth or AUTHS[self.adapter][0]


class SourceRequest(SourceFields):
    """The JSON body of `POST /v1/sources` and `PUT /v1/sources/{source_id}`."""

    secret: Annotated[str, StringConstraints(max_length=200)] | None = None
    """Left out: a new one is made, or the one there is stays. `null`: none, and nothing is taken.
    For signatures it is `whsec_` and base64, else 16 to 200 visible characters."""

    @model_validator(mode="after")
    def _secret_can_be_one(self) -> Self:
        if self.secret is None:
            return self
        match self.authentication:
            case SourceAuth.ED25519:
                raise ValueError("fal's signatures need no `secret`; leave it out")
            case SourceAuth.SIGNATURE:
                check_secret(self.secret)
            case _ if len(self.secret) < 16 or not _is_visible(self.secret):
                raise ValueError("a `secret` has 16 to 200 visible ASCII characters")
        return self


class SourceOutcome(StrEnum):
    """How it ended with a job of a source."""

    GRID_MADE = "grid_made"
    GRID_FAILED = "grid_failed"
    RENDER_FAILED = "render_failed"


class SourceLogEntry(StrictModel):
    at: datetime
    outcome: SourceOutcome
    job_id: str
    """The sender's."""
    detail: str | None = None
    grid_job_id: str | None = None
    """Ours, for `GET /v1/jobs/{id}`."""


class Refusal(StrictModel):
    at: datetime
    detail: str


class SourceCounts(StrictModel):
    """Events by what became of them."""

    accepted: int = 0
    duplicate: int = 0
    ignored: int = 0
    """Genuine, and nothing to do about."""
    refused: int = 0
    """Not authenticated, or not understood."""


class Source(SourceFields):
    """`GET /v1/sources/{source_id}`."""

    id: str
    created_at: datetime
    url: str
    """Where events are sent to; for `link` the secret comes behind it, after a slash."""
    auth: SourceAuth
    has_secret: bool
    counts: SourceCounts = SourceCounts()
    open_collections: int = 0
    """Jobs whose frames are being gathered."""
    last_event_at: datetime | None = None
    last_refusal: Refusal | None = None
    log: tuple[SourceLogEntry, ...] = ()
    """The last 50 grids and failures, the newest first; lists leave it out."""


class SourceWithSecret(Source):
    """The answer to making or changing a source."""

    secret: str | None = None
    """Where it is new: it cannot be shown again."""


class SourceList(StrictModel):
    """`GET /v1/sources`."""

    data: tuple[Source, ...]


class Receipt(StrictModel):
    """`POST /v1/inbound/{source_id}`: events by what becomes of them."""

    accepted: int = 0
    duplicate: int = 0
    ignored: int = 0


def _is_visible(text: str) -> bool:
    return all(0x21 <= ord(character) <= 0x7E for character in text)
