"""Pages that list others list all of them."""

from pathlib import Path

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"


def test_the_index_of_decisions_has_each_under_its_own_title() -> None:
    index = (DECISIONS / "README.md").read_text()
    for page in DECISIONS.glob("0*.md"):
        title = page.read_text().splitlines()[0].removeprefix("# ").replace(". ", ": ", 1)
        assert f"- [{title}]({page.name})\n" in index
