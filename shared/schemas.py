"""The shapes that cross a boundary: what the store keeps, and what callers get."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    JsonValue,
    StringConstraints,
)

from shared.job_spec import JobSpec, StrictModel

# --- What the store keeps -----------------------------------------------------------------------


class SourceImage(StrictModel):
    """An accepted image: where its bytes lie and all that is known of it without decoding."""

    name: str
    """As the caller named it, without folders."""
    key: str
    """In object storage."""
    media_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    label: str | None = None
    """Given in the request."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Given in the request."""
    csv_row: dict[str, str] | None = None
    """Column to value of the CSV row that names this image; None without one."""
    correction: str | None = None
    """Given for a job made of another's images; it stands, whatever the sources say."""


class StoredUpload(StrictModel):
    """What the store keeps of a file sent ahead of its job; whoever uses it looks at its bytes."""

    name: str
    key: str
    """In object storage."""


class ScoredTerm(StrictModel):
    term: str
    score: float


class ImageCaption(StrictModel):
    """What captioning has to say of one image; `text` is None where it abstained or failed."""

    text: str | None = None
    confidence: float | None = None
    model: str | None = None
    answer: str | None = None
    """The first facet's term, which `text` begins with."""
    facets: dict[str, tuple[ScoredTerm, ...]] = Field(default_factory=dict)
    """Top terms of each facet, best first."""
    reason: str | None = None
    """Why there is no text, or why another model than the asked one was used."""
    fallback: bool = False
    """True where another model or device than the asked one, or none, had to do."""
    features: str | None = None
    """The model's view of the picture, packed; only where the spec compares pictures."""


# --- What a caller gets -------------------------------------------------------------------------


class LabelSource(StrEnum):
    CSV = "csv"
    REQUEST = "request"
    EMBEDDED = "embedded"
    CLIP = "clip"
    FILENAME = "filename"


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELING)


class Stage(StrEnum):
    WAITING = "waiting"
    CAPTIONING = "captioning"
    COMPOSING = "composing"
    DONE = "done"


class Progress(StrictModel):
    stage: Stage
    done: int
    """Images finished in this stage."""
    total: int


class JobWarning(StrictModel):
    code: str
    detail: str
    image: int | None = None
    """Index of the image it is about; None for the whole job."""


class Problem(StrictModel):
    """RFC 9457 problem details; `job.error` has the same shape."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: str
    errors: tuple[dict[str, str], ...] = ()
    request_id: str | None = None


class Box(StrictModel):
    """Pixels from the page's upper left corner."""

    x: int
    y: int
    width: int
    height: int


class LabeledImage(StrictModel):
    """One image of a job as its status shows it."""

    index: int
    name: str
    label: str
    label_source: LabelSource
    confidence: float | None = None


class ManifestImage(LabeledImage):
    """The same with its place on the sheet and how its label came about."""

    page: int
    """From 1."""
    row: int
    col: int
    cell: Box
    """Picture's place and caption band together."""
    picture: Box | None
    """The very pixels of the picture; None where a placeholder stands, or another of its stack."""
    stacked_on: int | None = None
    """Index of the image that stands for this one too: page and cell are that one's."""
    reasons: tuple[str, ...] = ()
    """Why the sources before the winning one did not give the label."""
    facets: dict[str, tuple[ScoredTerm, ...]] = Field(default_factory=dict)
    model: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    """What its file, the request and the CSV say of the image; the later wins."""


class ManifestPage(StrictModel):
    page: int
    width: int
    height: int


class ManifestAxis(StrictModel):
    column: str | None
    """None where the images of a value stand one after the other."""
    values: tuple[str, ...]


class ManifestAxes(StrictModel):
    """The X/Y plot; a page shows those of the row values that it has images for."""

    rows: ManifestAxis
    cols: ManifestAxis


class Manifest(StrictModel):
    """`GET /v1/jobs/{id}/manifest`."""

    version: Literal[1] = 1
    rows: int
    cols: int
    pages: tuple[ManifestPage, ...]
    images: tuple[ManifestImage, ...]
    """In the order in which they were sent; `page`, `row` and `col` say where each stands."""
    header: str = ""
    """The line below the title; only smart labels have one."""
    axes: ManifestAxes | None = None
    warnings: tuple[JobWarning, ...] = ()


class StoredPage(StrictModel):
    """A finished page in object storage."""

    key: str
    width: int
    height: int
    bytes: int
    sha256: str


class StoredResult(StrictModel):
    """What a compose worker commits."""

    media_type: str
    extension: str
    pages: tuple[StoredPage, ...]
    manifest_key: str


class JobResult(StrictModel):
    """The finished sheet; further pages are at `?page=2` and on."""

    url: str
    url_expires_at: datetime | None = None
    width: int
    height: int
    pages: int
    bytes: int
    sha256: str
    media_type: str


class JobMetrics(StrictModel):
    queue_ms: int | None = None
    caption_ms: int | None = None
    compose_ms: int | None = None


class JobUrls(StrictModel):
    self: str
    cancel: str
    events: str
    result: str
    manifest: str
    deliveries: str
    """The log of its webhooks."""


class JobSummary(StrictModel):
    """A job as lists show it: without what grows with its images."""

    id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    queue_position: int | None = None
    """1 is next; None once a worker has begun."""
    progress: Progress
    attempts: int
    """Attempts of the unit of work that needed most."""
    result: JobResult | None = None
    error: Problem | None = None
    metrics: JobMetrics = JobMetrics()
    urls: JobUrls
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class Job(JobSummary):
    """`GET /v1/jobs/{id}`."""

    spec: JobSpec
    images: tuple[LabeledImage, ...] = ()
    warnings: tuple[JobWarning, ...] = ()


class JobProgress(StrictModel):
    """An event `progress` of `GET /v1/jobs/{id}/events`."""

    status: JobStatus
    progress: Progress


class JobList(StrictModel):
    """`GET /v1/jobs`, newest first."""

    data: tuple[JobSummary, ...]
    next_cursor: str | None = None
    """For `?cursor=`; None on the last page."""


class Upload(StrictModel):
    """`POST /v1/uploads`."""

    upload_id: str
    name: str
    media_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    expires_at: datetime


class PresignRequest(StrictModel):
    """The JSON body of `POST /v1/uploads/presign`."""

    name: Annotated[str, StringConstraints(max_length=1000)] | None = None
    """The file's name, as labels and the manifest will have it."""


class PresignedUpload(StrictModel):
    """`POST /v1/uploads/presign`: where to PUT one file, and what to call it in a job."""

    upload_id: str
    name: str
    method: Literal["PUT"] = "PUT"
    url: str
    url_expires_at: datetime
    expires_at: datetime
    """When the upload itself is removed."""
    max_bytes: int
    """Of the file; a larger one is refused by the job that uses it."""
