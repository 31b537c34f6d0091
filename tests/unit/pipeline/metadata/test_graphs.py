"""ComfyUI graphs that people draw, beyond the two examples that everybody starts from."""

import json
from typing import Any

import pytest

from tests.unit.pipeline.metadata.documents import Graph, classic_graph, flux_graph, node
from worker.pipeline.metadata.embedded import interpret


def read(graph: Graph) -> dict[str, Any]:
    return dict(interpret({"prompt": json.dumps(graph)}))


def test_samplers_are_known_by_their_inputs_whatever_their_class() -> None:
    for graph in (classic_graph(), flux_graph()):
        renamed = {id_: {**entry, "class_type": "Custom"} for id_, entry in graph.items()}
        assert read(renamed) == read(graph)


def test_a_second_pass_does_not_hide_the_one_that_made_the_picture() -> None:
    graph = classic_graph()
    assert next(iter(graph)) == "30"  # the second pass comes first in the file
    assert read(graph)["seed"] == 156680208700286


def test_of_two_pictures_in_a_graph_the_saved_one_counts() -> None:
    graph = classic_graph()
    other = {**graph["3"]["inputs"], "seed": 77}
    graph = {"2": node("KSampler", **other), **graph}
    assert read(graph)["seed"] == 156680208700286


def test_guider_with_two_sides_gives_cfg_and_both_prompts() -> None:
    graph = flux_graph()
    graph["22"] = node("CFGGuider", cfg=4, model=["30", 0], positive=["26", 0], negative=["50", 0])
    graph["50"] = node("CLIPTextEncode", text="blurry", clip=["11", 0])
    found = read(graph)
    assert (found["prompt"], found["negative_prompt"], found["cfg"]) == ("a red fox", "blurry", 4)


def test_a_control_net_between_passes_each_side_on() -> None:
    graph = classic_graph()
    graph["60"] = node(
        "ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], image=["8", 0]
    )
    graph["3"]["inputs"] |= {"positive": ["60", 0], "negative": ["60", 1]}
    assert (read(graph)["prompt"], read(graph)["negative_prompt"]) == ("a red fox", "blurry")


def test_a_zeroed_negative_is_no_prompt() -> None:
    graph = classic_graph()
    graph["7"] = node("ConditioningZeroOut", conditioning=["6", 0])
    assert "negative_prompt" not in read(graph)


def test_combined_conditioning_gives_all_its_texts_once() -> None:
    graph = classic_graph()
    graph["3"]["inputs"]["positive"] = ["61", 0]
    graph["61"] = node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["62", 0])
    graph["62"] = node("CLIPTextEncodeSDXL", text_g="in snow", text_l="in snow", clip=["4", 1])
    assert read(graph)["prompt"] == "a red fox, in snow"


def test_a_wildcard_node_gives_what_was_drawn() -> None:
    graph = classic_graph()
    graph["6"]["inputs"]["text"] = ["63", 0]
    graph["63"] = node("Wildcard", wildcard_text="a {red|blue} fox", populated_text="a blue fox")
    assert read(graph)["prompt"] == "a blue fox"


def test_values_come_through_reroutes_and_nodes_that_hold_them() -> None:
    graph = classic_graph()
    graph["3"]["inputs"] |= {"seed": ["70", 0], "cfg": ["72", 0], "latent_image": ["73", 0]}
    graph["70"] = node("Reroute", **{"": ["71", 0]})
    graph["71"] = node("Seed", seed=99)
    graph["72"] = node("PrimitiveFloat", value=6.5)
    graph["73"] = node("Reroute", samples=["5", 0])
    found = read(graph)
    assert (found["seed"], found["cfg"], found["size"]) == (99, 6.5, "512x768")


def test_a_value_that_is_computed_is_not_guessed() -> None:
    graph = classic_graph()
    graph["3"]["inputs"]["seed"] = ["74", 0]
    graph["74"] = node("Math", a=1, b=2, operation="add")
    assert "seed" not in read(graph)


def test_loaders_of_many_loras_count_those_that_are_switched_on() -> None:
    graph = classic_graph()
    graph["10"] = node(
        "Power Lora Loader",
        lora_1={"on": True, "lora": "x/fur.safetensors", "strength": 0.5},
        lora_2={"on": False, "lora": "off.safetensors", "strength": 1},
        lora_3={"on": True, "lora": "snow.safetensors", "strength": 1},
        model=["4", 0],
    )
    assert read(graph)["loras"] == "fur:0.5, snow:1"


def test_one_node_for_everything_is_read_too() -> None:
    graph = {
        "1": node(
            "Efficient Loader",
            ckpt_name="a.ckpt",
            positive="a red fox",
            negative="blurry",
            empty_latent_width=512,
            empty_latent_height=640,
        ),
        "2": node(
            "KSampler (Efficient)",
            seed=1,
            steps=2,
            cfg=3,
            sampler_name="euler",
            scheduler="normal",
            model=["1", 0],
            positive=["1", 1],
            negative=["1", 2],
            latent_image=["1", 3],
        ),
    }
    found = read(graph)
    assert (found["prompt"], found["negative_prompt"]) == ("a red fox", "blurry")
    assert (found["model"], found["size"]) == ("a", "512x640")


@pytest.mark.parametrize("graph", [{}, {"1": node("LoadImage", image="a.png")}, {"1": {}, "2": 3}])
def test_a_graph_without_a_sampler_says_nothing(graph: Graph) -> None:
    assert read(graph) == {}
