"""Units of work and the processes that do them.

A job is cut into units: `caption:LO:HI` covers positions LO to HI - 1 of the job's list of images
to caption, `compose` makes the sheet. A unit's name says all there is to know of it, so splitting
one that keeps failing is only a matter of names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pydantic import BaseModel, ConfigDict


class WorkerKind(StrEnum):
    CAPTION = "caption"
    COMPOSE = "compose"
    DISPATCHER = "dispatcher"
    DELIVERER = "deliverer"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to do one attempt at one unit; `attempt` is the fencing token."""

    job_id: str
    unit: str
    attempt: int

    @property
    def kind(self) -> WorkerKind:
        return WorkerKind(self.unit.partition(":")[0])


class WorkerStamp(BaseModel):
    """A sign of progress that every process of the back end leaves in Redis each beat."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    owner: str
    kind: WorkerKind
    capacity: int
    """Units it works on at once."""
    at: float = 0.0
    """Seconds of Redis's clock; the store sets it."""
    model: str | None = None
    notice: str | None = None
    """What an operator should know, such as why another model serves."""


def caption_units(count: int, chunk_size: int) -> list[str]:
    """Cut `count` positions into chunks of nearly equal size, at most `chunk_size` each."""
    chunks = -(-count // chunk_size)
    bounds = [count * n // chunks for n in range(chunks + 1)] if chunks else []
    return [f"caption:{lo}:{hi}" for lo, hi in pairwise(bounds)]


def parse_stamps(
    stamps: Mapping[str, str], now: float, max_age: float
) -> dict[WorkerKind, tuple[WorkerStamp, ...]]:
    """The stamps not older than `max_age` seconds, by kind."""
    parsed = [WorkerStamp.model_validate_json(value) for value in stamps.values()]
    return {
        kind: tuple(s for s in parsed if s.kind is kind and now - s.at <= max_age)
        for kind in WorkerKind
    }
