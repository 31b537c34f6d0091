"""What the store keeps of a job: a Redis hash, read back as a typed record.

The hash is written by the Lua scripts in `shared/lua` alone; docs/architecture.md draws its life.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import JobSpec, JobWebhook
from shared.schemas import JobStatus, JobWarning, LabeledImage, SourceImage, Stage, StoredResult

RECORD_VERSION = 1

_warnings = TypeAdapter(tuple[JobWarning, ...])
_labeled = TypeAdapter(tuple[LabeledImage, ...])


@dataclass(frozen=True, slots=True)
class NewJob:
    """Everything CREATE stores: all files are in object storage already."""

    id: str
    tenant: str
    spec: JobSpec
    images: tuple[SourceImage, ...]
    to_caption: tuple[int, ...]
    """Indices of the images that go through the model: those that neither CSV nor request labels,
    or all, where pictures are compared; empty without CLIP."""
    has_csv: bool = False
    """A CSV came with the job, whether or not it has rows for these images."""
    warnings: tuple[JobWarning, ...] = ()
    webhook: JobWebhook | None = None
    """With its secret, which the spec that is stored does not have."""
    cancel_after: timedelta | None = None
    """Time after which it is canceled, counted from each time that it is queued."""


@dataclass(frozen=True, slots=True)
class JobInputs:
    """What a job was made of."""

    spec: JobSpec
    """With its template applied, and the secret of its webhook."""
    images: tuple[SourceImage, ...]
    has_csv: bool
    """A CSV came with the job; its rows are with the images."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's `Idempotency-Key` and the fingerprint of the payload that came with it."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class JobFailure:
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as stored; the API makes the public `Job` of it."""

    id: str
    tenant: str
    status: JobStatus
    stage: Stage
    spec: JobSpec
    created_at: datetime
    queued_at: datetime
    """When it was accepted, or retried last."""
    started_at: datetime | None
    captioned_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    image_count: int
    captions_total: int
    captions_done: int
    composed: int
    """Pictures placed so far by the compose worker."""
    attempts: int
    """Of the unit that needed most, since the job was queued."""
    queue_position: int | None
    warnings: tuple[JobWarning, ...]
    labeled: tuple[LabeledImage, ...]
    result: StoredResult | None
    failure: JobFailure | None


RECORD_FIELDS = (
    "id",
    "tenant",
    "status",
    "stage",
    "spec",
    "deleted",
    "created_at",
    "queued_at",
    "started_at",
    "captioned_at",
    "finished_at",
    "expires_at",
    "image_count",
    "captions_total",
    "captions_done",
    "composed",
    "attempts",
    "attempts_before",
    "warnings",
    "labeled",
    "result",
    "error_code",
    "error_detail",
    "v",
)

SUMMARY_FIELDS = tuple(name for name in RECORD_FIELDS if name not in ("warnings", "labeled"))
"""Without what grows with the number of images."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it lies in the store: equal where nothing about it has changed."""

    values: tuple[str | None, ...]
    """Those of `RECORD_FIELDS`."""
    queue_rank: int | None

    def record(self) -> JobRecord:
        return parse_record(dict(zip(RECORD_FIELDS, self.values, strict=True)), self.queue_rank)


def parse_record(fields: Mapping[str, str | None], queue_rank: int | None) -> JobRecord:
    """Read a job's hash; times in it are milliseconds of Redis's clock since 1970.

    `queue_rank` counts the jobs before it that wait as well; None for one that does not wait.
    Raises `GridscribeError` SERVICE_UNAVAILABLE for the record of a newer version.
    """

    def text(name: str) -> str:
        value = fields.get(name)
        if value is None:
            raise ValueError(f"job record without {name!r}")
        return value

    def moment(name: str) -> datetime | None:
        value = fields.get(name)
        return datetime.fromtimestamp(int(value) / 1000, UTC) if value else None

    def number(name: str) -> int:
        return int(fields.get(name) or 0)

    if number("v") > RECORD_VERSION:
        raise GridscribeError(
            ErrorCode.SERVICE_UNAVAILABLE,
            f"job {text('id')!r} was accepted by a newer version of the service; ask again once"
            " this part of it is upgraded as well",
            retry_after=60,
        )
    created_at = moment("created_at")
    if created_at is None:
        raise ValueError("job record without 'created_at'")
    result, error_code = fields.get("result"), fields.get("error_code")
    return JobRecord(
        id=text("id"),
        tenant=text("tenant"),
        status=JobStatus(text("status")),
        stage=Stage(text("stage")),
        spec=JobSpec.model_validate_json(text("spec")),
        created_at=created_at,
        queued_at=moment("queued_at") or created_at,
        started_at=moment("started_at"),
        captioned_at=moment("captioned_at"),
        finished_at=moment("finished_at"),
        expires_at=moment("expires_at"),
        image_count=number("image_count"),
        captions_total=number("captions_total"),
        captions_done=number("captions_done"),
        composed=number("composed"),
        attempts=number("attempts") - number("attempts_before"),
        queue_position=None if queue_rank is None else queue_rank + 1,
        warnings=_warnings.validate_json(fields.get("warnings") or "[]"),
        labeled=_labeled.validate_json(fields.get("labeled") or "[]"),
        result=StoredResult.model_validate_json(result) if result else None,
        failure=JobFailure(ErrorCode(error_code), fields.get("error_detail") or "")
        if error_code
        else None,
    )
