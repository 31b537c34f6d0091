"""The nodes need nothing that ComfyUI does not bring."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.integration.comfyui.conftest import SOURCE
from tests.packaging.test_dependencies import closure

ROOT = SOURCE.parents[1]
MODULES = sorted(SOURCE.glob("*.py"))
BROUGHT = {"torch", "numpy", "PIL"}
OF_COMFYUI = {"comfy", "folder_paths"}
OF_THE_LOCAL_MODE = {"gridscribe", "shared", "pydantic"}
GUARDED = {"host.py": OF_COMFYUI, "in_process.py": OF_THE_LOCAL_MODE}
"""What a module may import where a failing import is caught."""


def imported(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Top-level names of all absolute imports, wherever they stand."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from ((alias.name.partition(".")[0], statement) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            yield (statement.module or "").partition(".")[0], statement


def guarded(tree: ast.AST) -> set[ast.AST]:
    """What stands in a `try` that catches ImportError."""
    return {
        inner
        for block in ast.walk(tree)
        if isinstance(block, ast.Try)
        and any(
            isinstance(handler.type, ast.Name) and handler.type.id == "ImportError"
            for handler in block.handlers
        )
        for statement in block.body
        for inner in ast.walk(statement)
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_imports_what_comfyui_brings_and_guards_the_rest(module: Path) -> None:
    # ComfyUI runs on Python 3.10 too, whose grammar is older than the service's.
    tree = ast.parse(module.read_text(), feature_version=(3, 10))
    caught = guarded(tree)
    for name, statement in imported(tree):
        if name in sys.stdlib_module_names or name in BROUGHT:
            continue
        assert name in GUARDED.get(module.name, ()), f"{module.name} imports {name}"
        assert statement in caught, f"{module.name}:{statement.lineno} is not guarded"


def test_the_registry_is_told_of_no_dependency() -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == []
    assert {"PublisherId", "DisplayName"} <= set(project["tool"]["comfy"])
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["project"]["version"] == own["version"]


IN_A_BARE_PYTHON = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

tests, source, *absent = sys.argv[1:]


class AbsentFinder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, AbsentFinder())
sys.path.insert(0, tests)
from hosting import execute, load_custom_node
from tensors import RED, plain

node = load_custom_node(Path(source)).NODE_CLASS_MAPPINGS["GridscribeLabeledGrid"]
for way in ("service", "local"):
    try:
        execute(node, images=plain(RED), run_on=way, server_url="http://127.0.0.1:9")
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_the_nodes_run_where_nothing_else_is_installed() -> None:
    brought = closure(map(Requirement, ("torch", "numpy", "pillow")))
    absent = {
        module
        for module, distributions in packages_distributions().items()
        if brought.keys().isdisjoint(map(canonicalize_name, distributions))
    }
    absent |= {"gridscribe", "shared", "worker"}
    assert {"httpx", "pydantic", "pytest"} <= absent
    assert absent.isdisjoint(BROUGHT)
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-c", IN_A_BARE_PYTHON),
            *(str(Path(__file__).parent), str(SOURCE), *sorted(absent)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_service, local = done.stdout.strip().splitlines()
    assert by_service.startswith("UnreachableError no Gridscribe service answers")
    assert by_service.endswith("start it with `gridscribe dev`, or see server_url")
    assert local.startswith("SheetError run_on is 'local', but No module named")
    assert "pip install 'gridscribe[caption]'" in local
