"""NovelAI: JSON in the PNG keyword `Comment`, beside `Software`, `Description` and `Source`.

In WebP the same fields are one JSON object in EXIF UserComment.
"""

import re
from collections.abc import Mapping

from shared.parameters import Parameters
from worker.pipeline.metadata import values
from worker.pipeline.metadata.bounded_json import object_of, parse_object

SOURCE_HASH = re.compile(r" [0-9A-F]{8}\Z")


def read_novelai(fields: Mapping[str, str]) -> Parameters:
    fields = {**fields, **parse_object(fields.get("UserComment"))}
    made = object_of(fields.get("Comment"))
    if not made or not ("uc" in made or fields.get("Software") == "NovelAI"):
        return {}
    return values.parameters(
        prompt=made.get("prompt") or _caption(made.get("v4_prompt")) or fields.get("Description"),
        negative_prompt=made.get("uc") or _caption(made.get("v4_negative_prompt")),
        seed=made.get("seed"),
        steps=made.get("steps"),
        sampler=made.get("sampler"),
        scheduler=made.get("noise_schedule"),
        cfg=made.get("scale"),
        model=SOURCE_HASH.sub("", values.text(fields.get("Source"))),
        size=values.size(made.get("width"), made.get("height")),
        tool="NovelAI",
    )


def _caption(value: object) -> object:
    return object_of(object_of(value).get("caption")).get("base_caption")
