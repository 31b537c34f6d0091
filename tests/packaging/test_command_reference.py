"""`docs/cli-reference.md` is what the program says of itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_current(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    options = ("--name", "gridscribe", "--title", "Commands", "--output", str(page))
    subprocess.run(
        [sys.executable, "-m", "typer", "gridscribe.cli", "utils", "docs", *options],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert page.read_text() == (ROOT / "docs" / "cli-reference.md").read_text(), "`make openapi`"
