"""The table in docs/reliability.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.findall(
    r"`(tests/[\w/]+\.py)(?:::(\w+))?` \|$", (ROOT / "docs/reliability.md").read_text(), re.M
)


def test_every_row_names_a_test() -> None:
    rows = [
        line
        for line in (ROOT / "docs/reliability.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    assert len(NAMED) == len(rows) - 2  # the header and its rule


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    text = (ROOT / file).read_text()
    assert f"def {name}(" in text if name else "def test_" in text
