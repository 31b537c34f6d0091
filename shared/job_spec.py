"""What a caller asks for: how the sheet is to look and where its labels come from."""

import json
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)
from pydantic_extra_types.color import Color

from shared.webhook_signature import WebhookSecret


class StrictModel(BaseModel):
    """Refuses unknown fields by name and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_hex(value: object) -> str:
    if isinstance(value, list):
        value = tuple(value)
    color = Color(value)  # type: ignore[arg-type]  # Color checks its own input
    if color.as_rgb_tuple(alpha=None)[3:]:
        raise ValueError("a background has no transparency")
    return color.as_hex(format="long")


OpaqueColor = Annotated[str, BeforeValidator(_as_hex)]
"""`#rrggbb`; understands CSS names, hex and [r, g, b]."""

Size = tuple[Annotated[int, Field(ge=1, le=16384)], Annotated[int, Field(ge=1, le=16384)]]
CellSide = Annotated[int, Field(ge=16, le=4096)]
Strength = Annotated[float, Field(ge=0, le=10)]
ShortText = Annotated[str, StringConstraints(max_length=200)]
Candidate = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _with_one_place(template: str) -> str:
    if template.replace("{}", "", 1).count("{") + template.count("}") != 1 or "{}" not in template:
        raise ValueError("write {} exactly once, where a term's name goes, and no other braces")
    return template


PromptTemplate = Annotated[str, StringConstraints(max_length=200), AfterValidator(_with_one_place)]
"""A sentence with `{}` where the name of a term goes, once, and no other braces."""


MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 32


def _small_json(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Metadata is kept in memory for as long as its job, so it has to be small."""
    if _depth(value) > MAX_METADATA_DEPTH:
        raise ValueError(f"nested more than {MAX_METADATA_DEPTH} deep")
    try:
        size = len(json.dumps(value, allow_nan=False))
    except ValueError as error:
        raise ValueError("NaN and infinite numbers are no JSON (RFC 8259)") from error
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"{size:,} bytes as JSON; at most {MAX_METADATA_BYTES:,} are kept")
    return value


def _depth(value: JsonValue) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small_json)]
"""A caller's own small JSON object."""


class SheetFormat(StrEnum):
    """Formats a sheet can be written in; `jpeg` and `tif` are understood as well."""

    PNG = "png"
    JPG = "jpg"
    WEBP = "webp"
    TIFF = "tiff"
    AVIF = "avif"
    PDF = "pdf"
    HTML = "html"

    @classmethod
    def _missing_(cls, value: object) -> "SheetFormat | None":
        aliases = {"jpeg": cls.JPG, "tif": cls.TIFF}
        return aliases.get(value.lower()) or _by_value(value) if isinstance(value, str) else None

    @property
    def media_type(self) -> str:
        match self:
            case SheetFormat.PDF:
                return "application/pdf"
            case SheetFormat.HTML:
                return "text/html"
            case SheetFormat.JPG:
                return "image/jpeg"
            case _:
                return f"image/{self.value}"


def _by_value(value: str) -> SheetFormat | None:
    lowered = value.lower()
    return next((member for member in SheetFormat if member.value == lowered), None)


class ResizeMode(StrEnum):
    FIT = "fit"
    """The whole picture, nothing cut: centred, or on the lower edge where a label is below it."""
    FILL = "fill"
    """The whole cell, what sticks out is cut."""
    STRETCH = "stretch"
    """The whole picture in the whole cell, its proportions lost."""


class LabelPosition(StrEnum):
    BAND = "band"
    OVERLAY = "overlay"
    NONE = "none"


class Overflow(StrEnum):
    """What becomes of images past the last cell of a fixed grid."""

    PAGES = "pages"
    GROW = "grow"
    ERROR = "error"


class CsvEncoding(StrEnum):
    """What older spreadsheets write; UTF-8 and UTF-16 are known by themselves."""

    WINDOWS_1252 = "windows-1252"
    LATIN_1 = "latin-1"


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Preprocessing(StrictModel):
    """Done to every picture before it is placed, in the order of the fields."""

    crop: tuple[int, int, int, int] | None = None
    """left, top, right, bottom in pixels of the upright picture."""
    resize: Size | None = None
    """width, height; `spec.resize_mode` says how."""
    blur: Strength | None = None
    """Gaussian radius in pixels."""
    sharpen: Strength | None = None
    """Blend towards the sharpened picture: 0 none, 1 full, above 1 beyond."""
    emboss: Strength | None = None
    edge_enhance: Strength | None = None
    brightness: Strength | None = None
    """1 leaves the picture as it is."""
    contrast: Strength | None = None
    saturation: Strength | None = None


class Axes(StrictModel):
    """The columns of the CSV, or keys of the images' metadata, that place each image.

    Where only one is given, the images of each of its values stand in the order of the sheet.
    """

    rows_by: ShortText | None = None
    cols_by: ShortText | None = None

    @model_validator(mode="after")
    def _name_one(self) -> "Axes":
        if not (self.rows_by or self.cols_by):
            raise ValueError("name a column in `rows_by`, in `cols_by` or in both")
        if self.rows_by == self.cols_by:
            raise ValueError("`rows_by` and `cols_by` name the same column")
        return self


class WebhookEvent(StrEnum):
    """What receivers of webhooks may be told."""

    STARTED = "job.started"
    PROGRESS = "job.progress"
    """Once a second at most."""
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    EXPIRED = "job.expired"


WebhookUrl = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
WebhookEvents = Annotated[tuple[WebhookEvent, ...], Field(min_length=1, max_length=20)]
ENDS = (WebhookEvent.SUCCEEDED, WebhookEvent.FAILED, WebhookEvent.CANCELED)


class JobWebhook(StrictModel):
    """Who is told of this one job."""

    url: WebhookUrl
    events: WebhookEvents = ENDS
    secret: WebhookSecret | None = None
    """Signs the messages, `whsec_...`; never shown again. Without one they are not signed."""


Sort = Annotated[str, StringConstraints(pattern=r"^(name|similarity|column:.{1,200})$")]


class Template(StrictModel):
    """The part of a spec that a preset may decide; what is not set stays open."""

    rows: Annotated[int, Field(ge=1, le=500)] | None = None
    cols: Annotated[int, Field(ge=1, le=500)] | None = None
    cell_size: tuple[CellSide, CellSide] = (256, 256)
    """width, height in pixels of a picture's place; a caption band comes below it."""
    margin: int = Field(default=10, ge=0, le=500)
    """Pixels between cells and around the sheet."""
    font_size: int = Field(default=16, ge=6, le=200)
    background: OpaqueColor = "#ffffff"
    format: SheetFormat = SheetFormat.PNG
    quality: int = Field(default=90, ge=1, le=100)
    """Of all pictures written with loss: jpg, webp, avif, pdf and html; png and tiff have none."""
    resize_mode: ResizeMode = ResizeMode.FIT
    preprocessing: Preprocessing = Preprocessing()
    label_position: LabelPosition = LabelPosition.BAND
    overflow: Overflow = Overflow.PAGES


class JobSpec(Template):
    """How the sheet is to look and where its labels come from. Every field is optional."""

    labels: tuple[ShortText, ...] = Field(default=(), max_length=20)
    """Columns of the CSV, keys of an image's metadata or of the parameters in its file, to draw;
    `["auto"]` draws what varies over the sheet, and what does not into a header."""
    csv_encoding: CsvEncoding | None = None
    """Of a CSV that is neither UTF-8 nor UTF-16; without it such a one is read as Windows-1252."""
    use_clip: bool = False
    clip_model: ShortText | None = None
    """One of the deployment's models; None means its default."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """Below it CLIP abstains; None means the model's own bar."""
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=2000)] | None = None
    """Texts that CLIP chooses among, in place of a vocabulary."""
    vocabulary: ShortText | None = None
    """One of the deployment's vocabularies; None means `default`."""
    prompt_templates: Annotated[tuple[PromptTemplate, ...], Field(max_length=20)] = ()
    """What the candidates, or the vocabulary's subjects, are put in; none means its own."""
    template: ShortText | None = None
    """A layout preset; fields given beside it win over it."""
    title: Annotated[str, StringConstraints(max_length=500)] | None = None
    axes: Axes | Literal["auto"] | None = None
    """An X/Y plot: the values decide rows and columns, and `rows`, `cols` and `overflow` do not."""
    sort: Sort | None = None
    """`name` (img_2 before img_10), `column:NAME`, or `similarity`; None keeps the order given."""
    stack_duplicates: bool = False
    """Show pictures that look the same as one, with their number on it."""
    ttl_seconds: Annotated[int, Field(ge=60, le=90 * 24 * 3600)] | None = None
    priority: Priority = Priority.NORMAL
    webhook: JobWebhook | None = None
    """Beside your stored endpoints, `/v1/webhook-endpoints`."""
    metadata: Metadata = Field(default_factory=dict)
    """The caller's own; returned as it came."""

    def with_webhook_secret(self, secret: str | None) -> Self:
        """The same with another secret for its webhook; None is how it may be stored and shown."""
        if self.webhook is None or self.webhook.secret == secret:
            return self
        known = {} if secret is None else {"secret": secret}
        webhook = JobWebhook(url=self.webhook.url, events=self.webhook.events, **known)
        return self.model_copy(update={"webhook": webhook})

    @property
    def has_smart_labels(self) -> bool:
        return self.labels == ("auto",)

    @model_validator(mode="after")
    def _one_source_of_terms(self) -> Self:
        if self.candidates is not None and self.vocabulary is not None:
            raise ValueError("give candidates or a vocabulary, not both")
        return self


class ImageReference(StrictModel):
    """One image of a JSON submission: exactly one of `url`, `upload_id` and `data`."""

    url: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """Fetched at once; `http://` or `https://`, public, without a redirect."""
    upload_id: str | None = None
    data: str | None = None
    """A data URI, `data:image/png;base64,...`."""
    name: ShortText | None = None
    label: Annotated[str, StringConstraints(max_length=2000)] | None = None
    metadata: Metadata = Field(default_factory=dict)


class JobRequest(StrictModel):
    """The JSON body of `POST /v1/jobs`."""

    spec: JobSpec = JobSpec()
    images: tuple[ImageReference, ...] = ()
    csv: str | None = None


Correction = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class RelabelRequest(StrictModel):
    """`POST /v1/jobs/{id}/relabel`."""

    labels: dict[Annotated[int, Field(ge=0)], Correction | None] = Field(default_factory=dict)
    """By the index of the image: what stands there, whatever the sources say. Null takes an
    earlier correction back."""
    spec: JobSpec = JobSpec()
    """What is to differ from the job's own; a template replaces all of its layout."""
