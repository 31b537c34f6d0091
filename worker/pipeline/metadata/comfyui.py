"""ComfyUI: the graph that ran, JSON in the PNG keyword `prompt`.

Its WebP nodes write `prompt:{...}` into EXIF Model or Make, others into ImageDescription. The
keyword `workflow` holds the editor's drawing of the same graph and is not read.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

from shared.parameters import Parameters
from worker.pipeline.metadata import values
from worker.pipeline.metadata.bounded_json import parse_object
from worker.pipeline.metadata.node_graph import Node, NodeGraph

EXIF_FIELDS = ("Model", "Make", "ImageDescription")
EXIF_PREFIX = "prompt:"
MAX_SAMPLERS = 32
"""That are looked at; a graph with more has no single picture that could be described."""

LATENT_INPUTS = frozenset({"latent_image", "latent", "samples", "pixels", "image", "images"})
MODEL_FILES = ("ckpt_name", "unet_name", "model_name", "model_path", "base_ckpt_name")
NO_CONDITIONING = frozenset(
    {"model", "clip", "vae", "control_net", "clip_vision_output", "style_model", "sigmas", "noise"}
    | LATENT_INPUTS
)


def read_comfyui(fields: Mapping[str, str]) -> Parameters:
    graph = NodeGraph.parse(parse_object(_prompt_field(fields)))
    sampler = _base_sampler(graph)
    return _describe(graph, sampler) if sampler else {}


def _prompt_field(fields: Mapping[str, str]) -> str | None:
    if "prompt" in fields:
        return fields["prompt"]
    for name in EXIF_FIELDS:
        field = fields.get(name, "")
        if field[: len(EXIF_PREFIX)].lower() == EXIF_PREFIX:
            return field[len(EXIF_PREFIX) :]
    return None


def _is_sampler(node: Node) -> bool:
    """KSampler and its like have conditioning and a seed, SamplerCustomAdvanced takes a guider."""
    steered = {"positive", "guider"} & node.inputs.keys()
    return bool(steered and {"seed", "noise_seed", "noise", "sigmas"} & node.inputs.keys())


def _base_sampler(graph: NodeGraph) -> Node | None:
    """The one that makes the picture, not those that refine or enlarge it afterwards.

    Of several that start from nothing it is the one that the first saved picture comes from.
    """
    samplers = list(islice(filter(_is_sampler, graph.nodes.values()), MAX_SAMPLERS))
    bases = [node for node in samplers if not any(_earlier(graph, node))]
    if len(bases) < 2:
        return next(iter(bases or samplers), None)
    ids = {node.id for node in bases}
    saving = (node for node in graph.nodes.values() if "filename_prefix" in node.inputs)
    sources = (
        node
        for saved in islice(saving, 1)
        for node in graph.upstream(saved, lambda _: True)
        if node.id in ids
    )
    return next(sources, bases[0])


def _earlier(graph: NodeGraph, sampler: Node) -> Iterator[bool]:
    """Whether each node that this sampler's latent picture comes from is a sampler too."""
    nodes = graph.upstream(sampler, LATENT_INPUTS.__contains__)
    return map(_is_sampler, islice(nodes, 1, None))


def _describe(graph: NodeGraph, sampler: Node) -> Parameters:
    def nearest(names: tuple[str, ...], *through: str) -> str | int | float | None:
        return graph.nearest(sampler, names, through.__contains__)

    distilled = graph.nearest(sampler, ("guidance",), _carries_positive)
    return values.parameters(
        prompt=_prompt(graph, sampler, "positive"),
        negative_prompt=_prompt(graph, sampler, "negative"),
        seed=nearest(("seed", "noise_seed"), "noise"),
        steps=nearest(("steps",), "sigmas"),
        sampler=nearest(("sampler_name", "sampler"), "sampler"),
        scheduler=nearest(("scheduler",), "sigmas"),
        cfg=values.guidance(nearest(("cfg",), "guider"), distilled),
        model=values.model_name(nearest(MODEL_FILES, "guider", "model", "sigmas")),
        size=_size(graph, sampler),
        loras=values.loras(_loras(graph, sampler)),
        tool="ComfyUI",
    )


def _prompt(graph: NodeGraph, sampler: Node, polarity: str) -> str:
    """The texts that the conditioning of this polarity was encoded from.

    A node that has an input named after the polarity passes both on, and only that one is
    followed. One that merely has conditioning is behind the split already; or it is a guider
    without a negative side, whose conditioning is positive.
    """
    waiting, seen, texts = [(sampler, polarity == "positive")], {sampler.id}, list[str]()
    while waiting:
        node, is_this_side = waiting.pop(0)
        own = node.inputs.get(polarity)
        if isinstance(own, str):
            texts.append(own)
            continue
        if own is not None:
            followed, is_this_side = [polarity], True
        elif is_this_side and (text := graph.text(node)):
            texts.append(text)
            continue
        elif "ZeroOut" in node.kind:  # nothing but its name says that it drops the text
            continue
        else:
            followed = [
                name
                for name in node.links
                if name == "guider" or (is_this_side and name not in NO_CONDITIONING)
            ]
        for name in followed:
            source = graph.source(node, name)
            if source is not None and source.id not in seen:
                seen.add(source.id)
                waiting.append((source, is_this_side))
    return ", ".join(dict.fromkeys(texts))


def _carries_positive(name: str) -> bool:
    return name not in NO_CONDITIONING and name != "negative"


def _size(graph: NodeGraph, sampler: Node) -> str:
    for node in graph.upstream(sampler, LATENT_INPUTS.__contains__):
        for prefix in ("", "empty_latent_"):
            sides = (graph.value(node, prefix + "width"), graph.value(node, prefix + "height"))
            if known := values.size(*sides):
                return known
    return ""


def _loras(graph: NodeGraph, sampler: Node) -> list[tuple[object, object]]:
    """In the order in which they are loaded: the one nearest to the sampler comes last."""
    found: list[tuple[object, object]] = []
    for node in graph.upstream(sampler, {"guider", "model"}.__contains__):
        if name := graph.value(node, "lora_name"):
            strength = graph.value(node, "strength_model")
            found.append((name, graph.value(node, "strength") if strength is None else strength))
        stacked = [  # loaders of many have one object a row, with a switch
            (row.get("lora"), row.get("strength"))
            for row in node.inputs.values()
            if isinstance(row, dict) and row.get("on") is True
        ]
        found += reversed(stacked)
    return found[::-1]
