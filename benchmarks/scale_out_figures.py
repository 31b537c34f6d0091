"""The figures of a run of `benchmarks.scale_out`, and the promises that they keep or break."""

import statistics
from dataclasses import dataclass

from benchmarks.caption_bounds import Bound
from benchmarks.saturation import Found
from tests.fixtures.cluster import Sizes

DAY_IMAGES = 10_000_000
PEAK = 3
"""Of the day's mean rate."""
JOB_IMAGES = 9
UNITS = 2
"""Of such a job: one chunk to caption, one sheet to compose."""
PEAK_UNITS = PEAK * DAY_IMAGES / 86400 / JOB_IMAGES * UNITS


@dataclass(frozen=True, slots=True)
class Row:
    sizes: Sizes
    found: Found
    bound: float | None
    """Images a second; None where there is none but the cores."""

    @property
    def share(self) -> float:
        return self.found.rate / self.bound if self.bound else 0.0


@dataclass(frozen=True, slots=True)
class ModelHere:
    architecture: str
    side: int
    rows: list[Row]
    bounds: list[Bound]
    """Measured around each row."""

    def bounds_beside_equipment(self) -> list[float]:
        """Images a second, were the bucket's server and the callers all that these cores had to do
        beside the bare parts: in production both are elsewhere.
        """
        return [
            bound.cores
            * 1000
            / (
                bound.encode
                + bound.decode
                + row.found.processor_ms["bucket"]
                + row.found.processor_ms["callers"]
            )
            for row, bound in zip(self.rows, self.bounds, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Capacity:
    images: int
    """Of a job."""
    rounds: list[dict[str, float]]

    def median(self, name: str) -> float:
        return statistics.median(each[name] for each in self.rounds)

    def spread(self, name: str) -> str:
        values = [each[name] for each in self.rounds]
        return f"{self.median(name):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


@dataclass(frozen=True, slots=True)
class Report:
    elsewhere: list[Row]
    image_seconds: float
    small_side: int
    """Of the pictures where the model is elsewhere or not asked."""
    here: ModelHere
    composing: list[Row]
    accepting: list[Row]
    images: int
    """Of a job."""
    capacity: list[Capacity]
    cores: int
    seconds: float

    @property
    def rows(self) -> list[Row]:
        return [*self.elsewhere, *self.here.rows, *self.composing, *self.accepting]


@dataclass(frozen=True, slots=True)
class Check:
    promise: str
    found: str
    holds: bool


def checks(report: Report) -> list[Check]:
    one, most = report.elsewhere[0], report.elsewhere[-2]
    gain = most.found.rate / one.found.rate
    workers = most.sizes.captions
    even = min(row.found.evenness for row in report.elsewhere)
    here = [row.found.rate for row in report.here.rows]
    jobs = sum(row.found.jobs for row in (*report.elsewhere, *report.here.rows, *report.composing))
    sent, looks = (
        sum(getattr(row.found, name) for row in (*report.elsewhere, *report.here.rows))
        for name in ("sent", "looks")
    )
    handed = min(each.median("units published a second") for each in report.capacity)
    return [
        Check(
            "nothing is lost, nothing is done twice",
            f"{jobs} jobs accepted and succeeded; {sent} pictures to caption, {looks} looked at",
            sent == looks,  # a job that failed would have ended the run
        ),
        Check(
            f"{workers} captioning workers do {workers} times what one does",
            f"{gain:.2f} times",
            gain > 0.9 * workers,
        ),
        Check(
            "workers share the work evenly",
            f"the least busy one did {even:.0%} of what the busiest did, at worst",
            even > 0.8,
        ),
        Check(
            "more captioning workers than cores do no harm",
            f"{here[-1] / max(here):.2f} of the best rate with {len(here)} workers",
            here[-1] > 0.85 * max(here),
        ),
        Check(
            "one dispatcher hands out ten times what ten million images a day need at peak",
            f"{handed / PEAK_UNITS:.0f} times {PEAK_UNITS:.0f} units/s",
            handed > 10 * PEAK_UNITS,
        ),
    ]
