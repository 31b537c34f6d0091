"""ComfyUI's side of the contract, as its documentation and loader have it: no part of it is
installed here.
"""

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PRIMITIVES = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
SOCKETS = {"IMAGE", "MASK", "LATENT"}
HIDDEN = {"PROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", "DYNPROMPT"}


def load_custom_node(folder: Path) -> ModuleType:
    """Import a folder of `custom_nodes`: under its path as the name, and not as a part of any
    package that could be found on `sys.path`.
    """
    name = str(folder).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def inputs_of(node: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Required and optional inputs in their order, which is that of the widgets."""
    declared = node.INPUT_TYPES()
    return {**declared["required"], **declared.get("optional", {})}


def widgets_of(node: Any) -> dict[str, dict[str, Any]]:
    return {name: options for name, (kind, options) in inputs_of(node).items() if is_widget(kind)}


def is_widget(kind: object) -> bool:
    return isinstance(kind, list) or kind in PRIMITIVES


def contract_breaches(node: Any) -> list[str]:
    """What of the documented contract (schema V1) a node class does not keep."""
    declared = node.INPUT_TYPES()
    breaches = [
        f"unknown group {group}" for group in set(declared) - {"required", "optional", "hidden"}
    ]
    if "required" not in declared:
        breaches.append("no required inputs")
    for name, entry in inputs_of(node).items():
        breaches += [f"{name}: {why}" for why in _input_breaches(entry)]
    breaches += [
        f"{name}: unknown hidden"
        for name, kind in declared.get("hidden", {}).items()
        if kind not in HIDDEN
    ]

    outputs = len(node.RETURN_TYPES)
    if not isinstance(node.RETURN_TYPES, tuple):
        breaches.append("RETURN_TYPES is no tuple")
    for attribute in ("RETURN_NAMES", "OUTPUT_IS_LIST", "OUTPUT_TOOLTIPS"):
        if len(getattr(node, attribute, node.RETURN_TYPES)) != outputs:
            breaches.append(f"{attribute} fits not RETURN_TYPES")
    if not (isinstance(node.CATEGORY, str) and node.CATEGORY):
        breaches.append("no CATEGORY")

    given = {*inputs_of(node), *declared.get("hidden", {})}
    breaches += _signature_breaches(
        getattr(node(), node.FUNCTION), given, set(declared["required"])
    )
    for attribute in ("IS_CHANGED", "VALIDATE_INPUTS"):
        method = getattr(node, attribute, None)
        if method is None:
            continue
        if not inspect.ismethod(method):
            breaches.append(f"{attribute} is no class method")
        # A linked input is not passed to it: every argument needs a default.
        breaches += [f"{attribute}: {why}" for why in _signature_breaches(method, given, set())]
    return breaches


def _input_breaches(entry: Any) -> list[str]:
    if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], dict)):
        return ["not a pair of type and options"]
    kind, options = entry
    if not is_widget(kind):
        return [] if kind in SOCKETS else [f"unknown type {kind}"]
    if "default" not in options:
        return ["a widget without a default"]
    default = options["default"]
    if isinstance(kind, list):
        return [] if default in kind else ["its default is none of its choices"]
    if type(default) is not PRIMITIVES[kind]:
        return [f"its default is no {kind}"]
    if kind in ("INT", "FLOAT") and not options["min"] <= default <= options["max"]:
        return ["its default is out of range"]
    return []


def _signature_breaches(function: Any, given: set[str], required: set[str]) -> list[str]:
    """What is passed by name and not taken, or taken without a default and not always passed."""
    parameters = inspect.signature(function).parameters.values()
    named = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
    needed = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.default is p.empty}
    breaches = [f"takes {name}, which is no input" for name in named - given]
    breaches += [f"{name} may be missing and has no default" for name in needed - required]
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    if function.__name__ not in ("VALIDATE_INPUTS", "IS_CHANGED") and not takes_all:
        breaches += [f"{name} is not taken" for name in given - named]
    return breaches


def execute(node: Any, **given: Any) -> dict[str, Any]:
    """Run a node as ComfyUI's executor does: every input by name, in a list where it wants lists.

    Widgets that are not given have their default. Returns the outputs by name.
    """
    defaults = {name: options["default"] for name, options in widgets_of(node).items()}
    inputs = {**defaults, **given}
    if getattr(node, "INPUT_IS_LIST", False):
        inputs = {
            name: value if isinstance(value, list) else [value] for name, value in inputs.items()
        }
    results = getattr(node(), node.FUNCTION)(**inputs)
    assert len(results) == len(node.RETURN_TYPES)
    for result, is_list in zip(results, node.OUTPUT_IS_LIST, strict=True):
        assert isinstance(result, list) == is_list
    return dict(zip(node.RETURN_NAMES, results, strict=True))
