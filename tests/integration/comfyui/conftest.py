"""The nodes as a user has them: their folder alone, in a `custom_nodes` of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.integration.comfyui.hosting import load_custom_node

SOURCE = Path(__file__).parents[3] / "integrations" / "comfyui"


@pytest.fixture(scope="session")
def custom_node(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("custom_nodes") / "gridscribe.nodes"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return load_custom_node(folder)


@pytest.fixture(scope="session")
def labeled_grid(custom_node: ModuleType) -> Any:
    return custom_node.NODE_CLASS_MAPPINGS["GridscribeLabeledGrid"]


@pytest.fixture(scope="session")
def labeled_grid_from_folder(custom_node: ModuleType) -> Any:
    return custom_node.NODE_CLASS_MAPPINGS["GridscribeLabeledGridFromFolder"]


@pytest.fixture(autouse=True)
def executor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """ComfyUI runs nodes in inference mode; its folders for pictures are the test's own."""
    for name in ("GRIDSCRIBE_SERVER", "GRIDSCRIBE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRIDSCRIBE_COMFYUI_FOLDERS", str(tmp_path))
    with torch.inference_mode():
        yield
