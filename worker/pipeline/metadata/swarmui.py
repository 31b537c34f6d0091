"""SwarmUI: JSON with `sui_image_params`; PNG keyword `parameters`, EXIF UserComment elsewhere."""

from collections.abc import Mapping

from shared.parameters import Parameters
from worker.pipeline.metadata import values
from worker.pipeline.metadata.bounded_json import object_of, parse_object

FIELDS = ("parameters", "UserComment")


def read_swarmui(fields: Mapping[str, str]) -> Parameters:
    for name in FIELDS:
        if made := object_of(parse_object(fields.get(name)).get("sui_image_params")):
            names, weights = _listed(made.get("loras")), _listed(made.get("loraweights"))
            weights += [None] * (len(names) - len(weights))
            return values.parameters(
                prompt=made.get("prompt"),
                negative_prompt=made.get("negativeprompt"),
                seed=made.get("seed"),
                steps=made.get("steps"),
                sampler=made.get("sampler"),
                scheduler=made.get("scheduler"),
                cfg=values.guidance(made.get("cfgscale"), made.get("fluxguidancescale")),
                model=values.model_name(made.get("model")),
                size=values.size(made.get("width"), made.get("height")),
                loras=values.loras(zip(names, weights, strict=False)),
                tool="SwarmUI",
            )
    return {}


def _listed(value: object) -> list[object]:
    """Older versions write lists as text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value else []
    return list(value) if isinstance(value, list) else []
