"""Fooocus: JSON in its scheme `fooocus`; its scheme `a1111` is A1111's infotext.

PNG keywords `parameters` and `fooocus_scheme`; elsewhere EXIF UserComment and, for the scheme,
MakerNote.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.parameters import Parameters
from worker.pipeline.metadata import values
from worker.pipeline.metadata.a1111 import read_infotext
from worker.pipeline.metadata.bounded_json import parse_object

FIELDS = ("parameters", "UserComment")
SCHEME_FIELDS = ("fooocus_scheme", "MakerNote")
SCHEMES = ("fooocus", "a1111")
RESOLUTION = re.compile(r"\(?(\d{1,6}), ?(\d{1,6})\)?")


def read_fooocus(fields: Mapping[str, str]) -> Parameters:
    has_scheme = any(fields.get(name) in SCHEMES for name in SCHEME_FIELDS)
    for name in FIELDS:
        made = parse_object(fields.get(name))
        if made and (has_scheme or str(made.get("version", "")).startswith("Fooocus")):
            return _from_json(made)
        if has_scheme and (found := read_infotext(fields.get(name, ""))):
            return {**found, "tool": "Fooocus"}
    return {}


def _from_json(made: Mapping[str, Any]) -> Parameters:
    resolution = RESOLUTION.fullmatch(values.text(made.get("resolution")))
    return values.parameters(
        prompt=made.get("prompt"),
        negative_prompt=made.get("negative_prompt"),
        seed=made.get("seed"),
        steps=made.get("steps"),
        sampler=made.get("sampler"),
        scheduler=made.get("scheduler"),
        cfg=made.get("guidance_scale"),
        model=values.model_name(made.get("base_model")),
        size=values.size(*resolution.groups()) if resolution else "",
        loras=values.loras(_loras(made)),
        tool="Fooocus",
    )


def _loras(made: Mapping[str, Any]) -> Iterator[tuple[object, object]]:
    """Lists of name, weight and hash; before version 2.2 one `name : weight` a key."""
    listed = made.get("loras")
    for lora in listed if isinstance(listed, list) else ():
        if isinstance(lora, list) and len(lora) >= 2:
            yield lora[0], lora[1]
    for key, value in made.items():
        if key.startswith("lora_combined_") and isinstance(value, str):
            name, _, weight = value.rpartition(" : ")
            yield name, weight
