"""Each guard of the threat model names tests that are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 20
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or name not in functions(ROOT / path)
    ]
    assert missing == []


def test_every_hole_has_a_test() -> None:
    _, _, table = PAGE.partition("## Holes and guards")
    table, _, _ = table.partition("Known holes of packages")
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert rows
    assert [row for row in rows if "`tests/" not in row] == []


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
