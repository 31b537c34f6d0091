"""Places in a source's spec that its events fill in: `{job_id}`, `{name}` and `{source}`."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from shared.job_spec import JobSpec

PLACEHOLDERS = ("job_id", "name", "source")

_PLACE = re.compile(r"\{([^{}]*)\}")
_MAX_TITLE = 500


def sampled(spec: JobSpec) -> JobSpec:
    """`spec` as it could become. Raises `ValueError` for a place that nothing fills in."""
    return filled_in(spec, dict.fromkeys(PLACEHOLDERS, "x"))


def filled_in(spec: JobSpec, values: Mapping[str, str]) -> JobSpec:
    """`spec` for one job. Values are plain text: what looks like a place in them stays as it is.

    Raises `ValueError` for an unknown place, and where the outcome is no spec.
    """
    fields: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True)
    if spec.title is not None:
        fields["title"] = _filled(spec.title, values, str)[:_MAX_TITLE]
    webhook = fields.get("webhook")
    if isinstance(webhook, dict) and isinstance(webhook.get("url"), str):
        # Some models of addresses write the braces of a place as %7B and %7D.
        url = webhook["url"].replace("%7B", "{").replace("%7D", "}")
        webhook["url"] = _filled(url, values, _quoted)
    if spec.metadata:
        fields["metadata"] = {
            name: _filled(value, values, str) if isinstance(value, str) else value
            for name, value in spec.metadata.items()
        }
    return JobSpec.model_validate(fields)


def _filled(text: str, values: Mapping[str, str], write: Callable[[str], str]) -> str:
    def value_of(place: re.Match[str]) -> str:
        if place[1] not in values:
            known = ", ".join(f"{{{name}}}" for name in values)
            raise ValueError(f"nothing fills in {place[0][:60]!r}; there are {known}")
        return write(values[place[1]])

    return _PLACE.sub(value_of, text)


def _quoted(value: str) -> str:
    return quote(value, safe="")
