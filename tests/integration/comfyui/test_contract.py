"""What ComfyUI asks of a folder of nodes, and of each node in it."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.job_spec import JobSpec
from tests.integration.comfyui.conftest import SOURCE
from tests.integration.comfyui.hosting import contract_breaches, inputs_of, widgets_of

NODES = ["GridscribeLabeledGrid", "GridscribeLabeledGridFromFolder"]


def test_the_folder_offers_two_nodes_under_names_that_no_other_pack_has(
    custom_node: ModuleType,
) -> None:
    assert sorted(custom_node.NODE_CLASS_MAPPINGS) == NODES
    assert custom_node.NODE_DISPLAY_NAME_MAPPINGS == {
        "GridscribeLabeledGrid": "Labeled Grid",
        "GridscribeLabeledGridFromFolder": "Labeled Grid from Folder",
    }


@pytest.mark.parametrize("name", NODES)
def test_a_node_keeps_the_contract(custom_node: ModuleType, name: str) -> None:
    node = custom_node.NODE_CLASS_MAPPINGS[name]
    assert contract_breaches(node) == []
    assert node.RETURN_TYPES == ("IMAGE", "STRING")


def test_the_checker_of_the_contract_finds_breaches() -> None:
    class Broken:
        RETURN_TYPES = "IMAGE"  # the comma is easily forgotten
        RETURN_NAMES = ("one", "two")
        CATEGORY = ""
        FUNCTION = "run"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  # ComfyUI's name
            return {
                "required": {"image": ("IMAGE", {}), "count": ("INT", {"default": "1"})},
                "optional": {"mode": (["a", "b"], {"default": "c"}), "size": ("PIXELS", {})},
                "hidden": {"me": "MYSELF"},
            }

        def run(self, image: object, count: int, size: object) -> None:
            """Takes no `mode`, and `size` may be missing."""

        def IS_CHANGED(self, image: object) -> None:  # noqa: N802  # ComfyUI's name
            """No class method."""

    breaches = contract_breaches(Broken)
    for expected in (
        "count: its default is no INT",
        "mode: its default is none of its choices",
        "size: unknown type PIXELS",
        "me: unknown hidden",
        "RETURN_TYPES is no tuple",
        "RETURN_NAMES fits not RETURN_TYPES",
        "no CATEGORY",
        "mode is not taken",
        "size may be missing and has no default",
        "IS_CHANGED is no class method",
    ):
        assert expected in breaches


def test_widgets_left_alone_are_the_defaults_of_the_service(labeled_grid: Any) -> None:
    """Else a widget that is not sent would not do what it shows."""
    shown = {name: options["default"] for name, options in widgets_of(labeled_grid).items()}
    default = JobSpec().model_dump(mode="json")
    for name in set(shown) & set(default) - {"labels", "metadata"}:
        assert (shown[name] or None) == (default[name] or None), name
    assert [shown["cell_width"], shown["cell_height"]] == default["cell_size"]


@pytest.mark.parametrize("name", NODES)
def test_the_limits_of_a_widget_are_those_of_the_service(
    custom_node: ModuleType, name: str
) -> None:
    fields = JobSpec.model_json_schema()["properties"]
    inputs = inputs_of(custom_node.NODE_CLASS_MAPPINGS[name])
    for widget in ("margin", "font_size"):
        options = inputs[widget][1]
        limits = (fields[widget]["minimum"], fields[widget]["maximum"])
        assert (options["min"], options["max"]) == limits
    for widget in ("rows", "cols"):
        assert inputs[widget][1]["max"] == fields[widget]["anyOf"][0]["maximum"]
    side = fields["cell_size"]["prefixItems"][0]
    for widget in ("cell_width", "cell_height"):
        assert inputs[widget][1]["min"] == side["minimum"]
        assert inputs[widget][1]["max"] == side["maximum"]
    choices = JobSpec.model_json_schema()["$defs"]
    assert inputs["label_position"][0] == choices["LabelPosition"]["enum"]
    assert inputs["resize_mode"][0] == choices["ResizeMode"]["enum"]
    assert inputs["overflow"][0] == choices["Overflow"]["enum"]


def test_the_address_shown_is_the_one_of_the_environment(
    labeled_grid: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert widgets_of(labeled_grid)["server_url"]["default"] == "http://127.0.0.1:8000"
    monkeypatch.setenv("GRIDSCRIBE_SERVER", "http://gpu-box:9000")
    assert widgets_of(labeled_grid)["server_url"]["default"] == "http://gpu-box:9000"


def test_the_api_key_is_no_widget(custom_node: ModuleType) -> None:
    """ComfyUI writes every widget's value into every picture that it saves."""
    for node in custom_node.NODE_CLASS_MAPPINGS.values():
        assert not [name for name in inputs_of(node) if "key" in name or "token" in name]


@pytest.mark.parametrize("workflow", sorted((SOURCE / "example_workflows").glob("*.json")))
def test_an_example_workflow_fits_the_nodes(custom_node: ModuleType, workflow: Path) -> None:
    graph = json.loads(workflow.read_text())
    nodes = {node["id"]: node for node in graph["nodes"]}
    own = [node for node in nodes.values() if node["type"] in custom_node.NODE_CLASS_MAPPINGS]
    assert own
    for node in own:
        declared = custom_node.NODE_CLASS_MAPPINGS[node["type"]]
        widgets = widgets_of(declared)
        assert len(node["widgets_values"]) == len(widgets)
        for value, options in zip(node["widgets_values"], widgets.values(), strict=True):
            assert type(value) is type(options["default"])
        assert [output["type"] for output in node["outputs"]] == list(declared.RETURN_TYPES)
        assert [output["name"] for output in node["outputs"]] == list(declared.RETURN_NAMES)
    for link_id, origin, origin_slot, target, target_slot, kind in graph["links"]:
        output = nodes[origin]["outputs"][origin_slot]
        taken = nodes[target]["inputs"][target_slot]
        assert link_id in output["links"]
        assert taken["link"] == link_id
        assert output["type"] == taken["type"] == kind
