"""What `gridscribe doctor` finds."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Works, but not as well as it could, or is not there and need not be."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None
    """What to do."""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Verdict.OK, detail)


def note(check: str, detail: str, advice: str | None = None) -> Finding:
    return Finding(check, Verdict.NOTE, detail, advice)


def problem(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Verdict.PROBLEM, detail, advice)
