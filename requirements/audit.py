"""Ask for known holes in what the images install: `python requirements/audit.py`.

The exit code is 0 where none is known, 1 where one is, 2 where nobody could be asked; with
`--unless-unreachable` that last is said aloud and is 0. Arguments after `--` are pip-audit's.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_PARTS = ("api", "compose", "caption")
FOUND, NOT_AUDITED = 1, 2


def audit(requirements: list[Path], options: list[str]) -> tuple[list[dict[str, Any]], str | None]:
    """Packages with known holes, as pip-audit's JSON has them, and why nobody could be asked."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
        *("--strict", "--disable-pip", "--no-deps"),
        *(word for path in requirements for word in ("--requirement", str(path))),
        *options,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words, and those of who calls this
    try:
        report = json.loads(ran.stdout)
    except ValueError:  # it writes its report only when it has asked about every package
        reasons = [line for line in ran.stderr.splitlines() if line.strip()]
        return [], reasons[-1] if reasons else f"pip-audit ended with {ran.returncode}"
    return [each for each in report["dependencies"] if each.get("vulns")], None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unless-unreachable", action="store_true")
    parser.add_argument("--requirement", action="append", type=Path)
    parser.add_argument("options", nargs="*", metavar="pip-audit option")
    given = parser.parse_args()
    files = given.requirement or [_HERE / f"{part}.txt" for part in _PARTS]
    holes, reason = audit(files, given.options)
    for package in holes:
        for hole in package["vulns"]:
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            _say(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    if holes:
        _say("Raise their floors in pyproject.toml, then run `make constraints`.")
        return FOUND
    if reason is not None:
        _say(f"NOT AUDITED: known holes of the pinned packages could not be looked up: {reason}")
        return 0 if given.unless_unreachable else NOT_AUDITED
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
