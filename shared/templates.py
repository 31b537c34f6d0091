"""Named layout presets."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from shared.errors import ErrorCode, ErrorLocation, GridscribeError
from shared.job_spec import JobSpec, StrictModel, Template

TemplateName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class NamedTemplate(StrictModel):
    """`POST /v1/templates`."""

    name: TemplateName
    """For `spec.template`."""
    spec: Template
    """The fields it decides."""


class ListedTemplate(NamedTemplate):
    built_in: bool
    """It cannot be changed."""


class TemplateList(BaseModel):
    data: tuple[ListedTemplate, ...]


def _template(rows: int, cols: int, side: int, margin: int, font_size: int) -> Template:
    return Template(
        rows=rows, cols=cols, cell_size=(side, side), margin=margin, font_size=font_size
    )


BUILT_IN_TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "default": _template(3, 3, 256, 10, 16),
        "compact": _template(4, 4, 200, 5, 12),
        "large": _template(2, 2, 400, 20, 20),
        "presentation": _template(3, 3, 300, 15, 18),
        "comparison": _template(2, 2, 350, 12, 16),
        "gallery": _template(4, 4, 250, 8, 14),
        "wide": _template(2, 5, 280, 10, 16),
        "tall": _template(5, 2, 280, 10, 16),
    }
)


_NONE: Mapping[str, Template] = MappingProxyType({})


def apply_template(spec: JobSpec, own: Mapping[str, Template] = _NONE) -> JobSpec:
    """`spec` with its template's values wherever the caller gave none of their own.

    `own` are templates beside the built-in ones. A field sent as null counts as given: `rows: null`
    asks for as many rows as are needed.

    Raises:
        GridscribeError: `unknown_template`.
    """
    if spec.template is None:
        return spec
    template = BUILT_IN_TEMPLATES.get(spec.template) or own.get(spec.template)
    if template is None:
        names = ", ".join({**BUILT_IN_TEMPLATES, **own})
        detail = f"there is no template {spec.template!r}; there are {names}"
        raise GridscribeError(
            ErrorCode.UNKNOWN_TEMPLATE, detail, errors=[ErrorLocation("spec.template", detail)]
        )
    decided = template.model_fields_set - spec.model_fields_set
    return spec.model_copy(update={field: getattr(template, field) for field in decided})
