"""What callers of the old service send, in the words of this one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from api.validation import invalid
from shared.errors import ErrorCode, GridscribeError
from shared.job_spec import JobSpec, Template

_NEW_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "rows": "rows",
        "cols": "cols",
        "cell_size": "cell_size",
        "margin": "margin",
        "font_size": "font_size",
        "background_color": "background",
        "export_format": "format",
        "label_columns": "labels",
        "use_clip": "use_clip",
        "clip_model": "clip_model",
        "preprocessing": "preprocessing",
        "template": "template",
    }
)
_OLD_NAMES = {new: old for old, new in _NEW_NAMES.items()}

MAX_BATCH = 100
"""Folders of one request."""


class OldRequest(BaseModel):
    """Any of the old endpoints' bodies. Values of the layout are checked as a `JobSpec`'s are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    input_dir: str | None = None
    output_path: str | None = None
    csv_path: str | None = None
    batch_dirs: Annotated[tuple[str, ...], Field(max_length=MAX_BATCH)] = ()
    count: Annotated[int, Field(ge=1)] | None = None
    """Images to preview, where no folder is named."""
    name: str | None = None
    """Of a template."""

    @property
    def layout(self) -> dict[str, JsonValue]:
        """The fields that a `JobSpec` knows, by their new names; null means not given."""
        given = self.model_extra or {}
        fields = {new: given[old] for old, new in _NEW_NAMES.items() if given.get(old) is not None}
        if isinstance(side := fields.get("cell_size"), int):
            fields["cell_size"] = [side, side]
        if isinstance(columns := fields.get("labels"), str):
            fields["labels"] = [part.strip() for part in columns.split(",") if part.strip()]
        return fields

    @property
    def ignored(self) -> list[str]:
        """Names of fields that mean nothing here, for a warning."""
        return sorted(name[:60] for name in set(self.model_extra or {}) - set(_NEW_NAMES))[:20]

    def spec(self, **more: JsonValue) -> JobSpec:
        """Raises `GridscribeError` INVALID_REQUEST or INVALID_SPEC."""
        try:
            return JobSpec.model_validate({**self.layout, **more})
        except ValidationError as error:
            raise _invalid(error) from error

    def template(self) -> Template:
        """Those fields of the layout that a template has; raises as `spec` does."""
        kept = {name: self.layout[name] for name in self.layout if name in Template.model_fields}
        try:
            return Template.model_validate(kept)
        except ValidationError as error:
            raise _invalid(error) from error


def required(value: str | None, name: str) -> str:
    if not value:
        raise GridscribeError(ErrorCode.INVALID_REQUEST, f"{name}: missing")
    return value


def old_layout(template: Template) -> dict[str, Any]:
    """A template in the old words."""
    fields = template.model_dump(mode="json", exclude_unset=True)
    return {_OLD_NAMES.get(new, new): value for new, value in fields.items()}


def _invalid(error: ValidationError) -> GridscribeError:
    details = error.errors(include_url=False)
    for detail in details:
        first, *rest = detail["loc"]
        detail["loc"] = (_OLD_NAMES.get(str(first), first), *rest)
    return invalid(details)
