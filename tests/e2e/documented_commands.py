"""The commands that the README and the pages of docs/ show, as a reader would run them.

A page's blocks of `sh` and `python` run one after the other in one shell. Comments right above a
block say what a reader does on the way, or why it is not run here:

    <!-- before: ID=... -->          run this first, unseen
    <!-- for 5 s -->                 it goes on until it is stopped
    <!-- not run: needs Docker -->   one of `REASONS`
    <!-- run by: tests/e2e/test_x.py -->
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

REASONS = (
    "needs Docker",
    "needs a cluster",
    "needs root",
    "needs ComfyUI",
    "settings, no command",
    "takes the whole test suite",
    "a part of a receiver",
)

_BLOCK = re.compile(
    r"(?P<notes>(?:^[ ]*<!--(?:(?!-->).)*-->\n+)*)"
    r"^(?P<indent>[ ]*)```(?P<language>sh|bash|python)\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_NOTE = re.compile(r"<!--\s*(before|for|not run|run by):?\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    line: int
    language: str
    code: str
    before: str
    seconds: int | None
    """Time after which a command that goes on is stopped."""
    not_run: str | None
    run_by: str | None

    def script(self) -> str:
        """Lines for bash that run it."""
        code = self.code
        if self.language == "python":
            code = f"python3 - <<'END-OF-EXAMPLE'\n{code}END-OF-EXAMPLE\n"
        if self.seconds is not None:
            code = f"stopped_after {self.seconds} <<'END-OF-COMMAND'\n{code}END-OF-COMMAND\n"
        return f"echo '--- {self.page}:{self.line}' >&2\n{self.before}\n{code}\n"


def pages() -> list[str]:
    """Paths from the repository's root of all pages that are written for readers."""
    found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def blocks(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text()
    for match in _BLOCK.finditer(text):
        notes: dict[str, str] = {}
        for name, value in _NOTE.findall(match["notes"]):
            notes[name] = f"{notes[name]}\n{value}" if name in notes else value
        seconds = re.match(r"\d+", notes.get("for", ""))
        indent = len(match["indent"])
        yield Block(
            page=page,
            line=text.count("\n", 0, match.start("indent")) + 1,
            language=match["language"],
            code="".join(line[indent:] for line in match["code"].splitlines(keepends=True)),
            before=notes.get("before", ""),
            seconds=int(seconds[0]) if seconds else None,
            not_run=notes.get("not run"),
            run_by=notes.get("run by"),
        )
