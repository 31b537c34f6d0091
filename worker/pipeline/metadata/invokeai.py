"""InvokeAI: JSON in the PNG keyword `invokeai_metadata`, or `sd-metadata` up to version 2.

It writes PNG only. In JPEG and WebP, what converters kept of it stands in EXIF UserComment: the
same JSON, or all of the PNG's texts as one object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.parameters import Parameters
from worker.pipeline.metadata import values
from worker.pipeline.metadata.bounded_json import object_of, parse_object


def read_invokeai(fields: Mapping[str, str]) -> Parameters:
    comment = parse_object(fields.get("UserComment"))
    known = {**comment, **fields}
    made = object_of(known.get("invokeai_metadata"))
    if made := made or (comment if "positive_prompt" in comment else {}):
        return _common(
            made,
            prompt=made.get("positive_prompt"),
            negative_prompt=made.get("negative_prompt"),
            sampler=made.get("scheduler"),
            model=_model(made.get("model")),
            loras=values.loras(_loras(made.get("loras"))),
        )
    older = object_of(known.get("sd-metadata"))
    if made := object_of(older.get("image")):
        prompt = made.get("prompt")
        if isinstance(prompt, list):
            prompt = ", ".join(values.text(object_of(part).get("prompt")) for part in prompt[:50])
        return _common(
            made,
            prompt=prompt,
            sampler=made.get("sampler"),
            model=values.model_name(older.get("model_weights")),
        )
    return {}


def _common(made: Mapping[str, Any], **own: object) -> Parameters:
    """InvokeAI has one word for sampler and scheduler together, so it stands for both here."""
    return values.parameters(
        seed=made.get("seed"),
        steps=made.get("steps"),
        scheduler=own["sampler"],
        cfg=values.guidance(made.get("cfg_scale"), made.get("guidance")),
        size=values.size(made.get("width"), made.get("height")),
        tool="InvokeAI",
        **own,
    )


def _model(value: object) -> str:
    """Version 3 calls it `model_name`, later ones `name`."""
    model = object_of(value)
    return values.model_name(model.get("name") or model.get("model_name"))


def _loras(value: object) -> Iterator[tuple[object, object]]:
    for entry in value if isinstance(value, list) else ():
        lora = object_of(entry)
        yield _model(lora.get("model") or lora.get("lora")), lora.get("weight")
