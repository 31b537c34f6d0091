"""Layouts that the user has saved under a name, in one JSON file of the user's own."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gridscribe.image_files import InputError
from gridscribe.sheet_files import written_whole
from shared.job_spec import JobSpec, Template
from shared.templates import BUILT_IN_TEMPLATES, apply_template

_FIELDS = set(Template.model_fields)
_file_content = TypeAdapter(dict[str, dict[str, Any]])


def config_folder() -> Path:
    """`gridscribe` in the folder for configuration (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "gridscribe"


def spec_from(fields: dict[str, Any]) -> JobSpec:
    """The spec that `fields` give, over those of a saved template where they name one.

    Another name than that of a saved one stays, for whoever knows it. Raises
    `pydantic.ValidationError` for bad values.
    """
    name = fields.get("template")
    if name is None or name in BUILT_IN_TEMPLATES or name not in (saved := _read()):
        return JobSpec.model_validate(fields)
    return JobSpec.model_validate({**saved[name], **fields, "template": None})


def check_template(name: str) -> None:
    """Raise `InputError` unless the template `name` is built in."""
    if name not in BUILT_IN_TEMPLATES:
        saved = _read()
        own = f"; saved by you: {', '.join(sorted(saved))}" if saved else ""
        raise InputError(
            f"there is no template {name!r}; there are {', '.join(BUILT_IN_TEMPLATES)}{own}"
        )


def save_template(name: str, spec: JobSpec) -> Path:
    """Keep the layout of `spec`, its template's values included; returns the file it is in."""
    if name in BUILT_IN_TEMPLATES:
        raise InputError(f"{name!r} is a built-in template; choose another name")
    layout = apply_template(spec).model_dump(mode="json", include=_FIELDS, exclude_unset=True)
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({**_read(), name: layout}, indent=2, ensure_ascii=False)
    with written_whole(path) as file:
        file.write(f"{content}\n".encode())
    return path


def _path() -> Path:
    return config_folder() / "templates.json"


def _read() -> dict[str, dict[str, Any]]:
    path = _path()
    if not path.exists():
        return {}
    try:
        return _file_content.validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{path} is damaged; repair or delete it: {error.errors()[0]['msg']}"
        ) from error
