"""What a run of `benchmarks.load` saw, and the promises that it shows kept or broken."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP = 0.2
"""The part of the time that is left out of what should stay flat: queues fill, memory too."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that ended; times in seconds, those of a moment since the load began."""

    tenant: str
    images: int
    status: str
    accepted: float
    waited: float
    """From acceptance to a worker's beginning."""
    ended: float

    @property
    def took(self) -> float:
        return self.ended - self.accepted


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    unfinished_jobs: int
    memory: dict[str, int]
    """Bytes, by process."""
    answers: dict[str, int]
    """So far, by status."""


@dataclass(frozen=True, slots=True)
class Observations:
    seconds: float
    """How long the load lasted; jobs that were accepted ended after it."""
    ttl_seconds: float
    """How long an ended job is kept."""
    most_unfinished: int
    accepted: int
    finished: list[Finished]
    answers: dict[str, int]
    refused: dict[str, dict[str, int]]
    """By tenant and status."""
    without_pause: int
    """Refusals that did not say when to come again."""
    samples: list[Sample]
    counted_accepted: int
    counted_finished: int
    deaths: int
    """Processes that ended by themselves."""
    cores: int
    cores_of: dict[str, float]
    """Share of the machine's processor time, by who took it."""

    @property
    def tenants(self) -> list[str]:
        return sorted({it.tenant for it in self.finished})

    @property
    def steady(self) -> list[Sample]:
        return [it for it in self.samples if self._is_steady(it.seconds)]

    def of(self, tenant: str) -> list[Finished]:
        """Those jobs that were accepted once queues were full and while the load went on."""
        return [it for it in self.finished if it.tenant == tenant and self._is_steady(it.accepted)]

    def images(self, tenant: str) -> int:
        """Of jobs that ended while the load was steady."""
        return sum(
            it.images for it in self.finished if it.tenant == tenant and self._is_steady(it.ended)
        )

    def rates(self, parts: int) -> list[float]:
        """Images a second in equal parts of the steady time."""
        begin = self.seconds * WARM_UP
        width = (self.seconds - begin) / parts
        edges = [begin + number * width for number in range(parts)]
        return [
            sum(it.images for it in self.finished if edge <= it.ended < edge + width) / width
            for edge in edges
        ]

    def _is_steady(self, seconds: float) -> bool:
        return self.seconds * WARM_UP <= seconds <= self.seconds


def growth(seen: Observations) -> dict[str, tuple[float, float]]:
    """Mean bytes of each process in both halves."""
    middle = len(seen.steady) // 2
    first, second = seen.steady[:middle], seen.steady[middle:]
    return {
        name: (
            statistics.fmean(it.memory[name] for it in first),
            statistics.fmean(it.memory[name] for it in second),
        )
        for name in seen.samples[0].memory
    }


def median_wait(jobs: Sequence[Finished]) -> float:
    return statistics.median(it.waited for it in jobs)


def late_wait(jobs: Sequence[Finished]) -> float:
    """The 95th percentile."""
    return sorted(it.waited for it in jobs)[int(len(jobs) * 0.95)]


@dataclass(frozen=True, slots=True)
class Check:
    promise: str
    found: str
    holds: bool


def checks(seen: Observations) -> list[Check]:
    return [*_exactness(seen), *_bounds(seen), *_flatness(seen), *_fairness(seen)]


def _exactness(seen: Observations) -> list[Check]:
    failed = sum(it.status != "succeeded" for it in seen.finished)
    ends = len(seen.finished)
    return [
        Check(
            "no accepted job is lost",
            f"{seen.accepted} accepted, {ends} ended as the callers saw it;"
            f" {seen.counted_accepted} and {seen.counted_finished} as the service counted",
            seen.accepted == ends == seen.counted_accepted == seen.counted_finished,
        ),
        Check("each succeeds", f"{failed} did not", failed == 0),
        Check("no process ends by itself", f"{seen.deaths} did", seen.deaths == 0),
    ]


def _bounds(seen: Observations) -> list[Check]:
    most = max(it.unfinished_jobs for it in seen.samples)
    least = min(it.unfinished_jobs for it in seen.steady)
    unexpected = {c: n for c, n in seen.answers.items() if c not in ("202", "429", "503")}
    return [
        Check(
            "what is too much is refused with `Retry-After`, and nothing else",
            f"{seen.answers.get('429', 0)} times 429, {seen.answers.get('503', 0)} times 503,"
            f" {seen.without_pause} of them without; others: {unexpected or 'none'}",
            {"429", "503"} <= set(seen.answers) and not unexpected and not seen.without_pause,
        ),
        Check(
            "the backlog stays within its bound, and never runs dry",
            f"{least} to {most} unfinished jobs, of {seen.most_unfinished}",
            most <= seen.most_unfinished and least > seen.most_unfinished / 4,
        ),
    ]


def _flatness(seen: Observations) -> list[Check]:
    first, second = seen.rates(2)
    tenths = seen.rates(10)
    grown = {name: after / before for name, (before, after) in growth(seen).items()}
    worst = max(grown, key=lambda name: grown[name])
    return [
        Check(
            "throughput is flat",
            f"{first:.1f} images/s in the first half, {second:.1f} in the second;"
            f" {min(tenths):.1f} to {max(tenths):.1f} in tenths",
            0.85 < second / first < 1.18 and min(tenths) > statistics.median(tenths) / 2,
        ),
        Check(
            "memory is flat",
            f"means of the halves grow by {grown[worst] - 1:+.0%} at most ({worst})",
            grown[worst] < 1.15,
        ),
    ]


def _fairness(seen: Observations) -> list[Check]:
    waits = {tenant: median_wait(seen.of(tenant)) for tenant in seen.tenants}
    late = {tenant: late_wait(seen.of(tenant)) for tenant in seen.tenants}
    one, other = waits["twin-a"], waits["twin-b"]
    images = [seen.images(tenant) for tenant in ("twin-a", "twin-b")]
    others = [tenant for tenant in waits if tenant != "guest"]
    return [
        Check(
            "equal tenants wait equally",
            f"{one:.1f} and {other:.1f} s in the median",
            abs(one - other) < max(1.0, max(one, other) / 3),
        ),
        Check(
            "equal tenants get equally much",
            f"{images[0]} and {images[1]} images",
            min(images) > 0.8 * max(images),
        ),
        Check(
            "who asks for little waits no longer than those who ask for more than there is",
            f"{waits['guest']:.1f} s in the median, against"
            f" {min(waits[it] for it in others):.1f} s at least;"
            f" p95 {late['guest']:.1f} against {min(late[it] for it in others):.1f}",
            all(waits["guest"] <= waits[it] and late["guest"] <= late[it] for it in others),
        ),
    ]
