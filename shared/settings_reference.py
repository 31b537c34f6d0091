"""docs/settings.md, made of the settings' own words: `python -m shared.settings_reference FILE`."""

import inspect
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from shared.settings import MEBIBYTE, Settings

_HEAD = """\
# Settings

Every process reads the same settings from its environment, once, when it starts. The defaults suit
one machine. A setting that is out of range stops the process with a message that names it.

Sizes are bytes and times are seconds unless the table says otherwise. “Pixels” are width times
height. This page is made from `shared/setting_groups.py`.
"""

_IN_WORDS: dict[str, str] = {
    "broker_url": "the Redis above",
    "cache_dir": "`$XDG_CACHE_HOME/gridscribe`, else `~/.cache/gridscribe`",
    "storage_url": "folder `storage` in the data folder",
    "clip_threads": "all cores",
    "min_body_rate": "16 KiB",
    "bytes_per_day": "1 TiB",
    "fal_jwks_url": "fal's own",
}
"""Defaults that their values do not tell."""


def reference() -> str:
    """The whole page."""
    return _HEAD + "".join(_section(group) for group in Settings.__bases__)


def _section(group: type) -> str:
    title, _, intro = (inspect.getdoc(group) or "").partition("\n\n")
    rows = "".join(
        f"| `{_variable(name)}` | {_default(name, field)} | {_meaning(field)} |\n"
        for name, field in Settings.model_fields.items()
        if name in group.__annotations__
    )
    intro = f"\n{intro}\n" if intro else ""
    head = "| Variable | Default | Meaning |\n| --- | --- | --- |\n"
    return f"\n## {title.rstrip('.')}\n{intro}\n{head}{rows}"


def _variable(name: str) -> str:
    return f"GRIDSCRIBE_{name.upper()}"


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _default(name: str, field: FieldInfo) -> str:
    if name in _IN_WORDS:
        return _IN_WORDS[name]
    value: object = field.default
    match value:
        case int() if name.endswith("_bytes") and value % (MEBIBYTE * MEBIBYTE) == 0:
            return f"{value // MEBIBYTE // MEBIBYTE} TiB"
        case int() if name.endswith("_bytes") and value % MEBIBYTE == 0:
            return f"{value // MEBIBYTE} MiB"
        case int() if name.endswith("_seconds") and value and value % 86400 == 0:
            return f"{value // 86400} days" if value > 86400 else "1 day"
        case None | () | "":
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return f"`{','.join(str(part) for part in value)}`"
        case float():
            return f"`{value:g}`"
    return f"`{value}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
