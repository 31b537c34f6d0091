"""What a run of `benchmarks.load` showed: checks, figures, plots."""

import json
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WARM_UP = 0.2
"""The part of the time that is left out where something should stay flat: queues fill."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that ended; times in seconds."""

    tenant: str
    images: int
    status: str
    waited: float
    """From acceptance to a worker's beginning."""
    took: float
    """From acceptance to the end."""
    at: float


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    images_done: int
    unfinished_jobs: int
    memory: dict[str, int]
    answers: dict[str, int]


@dataclass(frozen=True, slots=True)
class Observations:
    minutes: float
    began: float
    accepted: int
    finished: list[Finished]
    answers: dict[str, int]
    samples: list[Sample]
    counted_accepted: int
    counted_finished: int
    most_unfinished: int

    def of(self, tenant: str) -> list[Finished]:
        return [it for it in self.finished if it.tenant == tenant]

    def under_load(self) -> list[Sample]:
        return [it for it in self.samples if it.seconds <= self.minutes * 60]


@dataclass(frozen=True, slots=True)
class Check:
    promise: str
    found: str
    holds: bool


def checks(seen: Observations) -> list[Check]:
    samples = seen.under_load()
    steady = samples[round(len(samples) * WARM_UP) :]
    middle = len(steady) // 2
    first, second = _rate(steady[: middle + 1]), _rate(steady[middle:])
    growth = {
        name: _mean(steady[middle:], _memory(name)) / _mean(steady[:middle], _memory(name))
        for name in steady[0].memory
    }
    worst = max(growth, key=lambda name: growth[name])
    most = max(it.unfinished_jobs for it in samples)
    twins = [statistics.median(it.waited for it in seen.of(name)) for name in ("twin-a", "twin-b")]
    guest, flood = (
        statistics.median(it.waited for it in seen.of(name)) for name in ("guest", "flood")
    )
    failed = sum(it.status != "succeeded" for it in seen.finished)
    refused = {code: seen.answers.get(code, 0) for code in ("429", "503")}
    unexpected = {c: n for c, n in seen.answers.items() if c not in ("202", "429", "503")}
    return [
        Check(
            "no accepted job is lost",
            f"{seen.accepted} accepted, {len(seen.finished)} ended as the callers saw it;"
            f" {seen.counted_accepted} and {seen.counted_finished} as the service counted",
            seen.accepted == len(seen.finished) == seen.counted_accepted == seen.counted_finished,
        ),
        Check("each succeeds", f"{failed} did not", failed == 0),
        Check(
            "what is too much is refused, and nothing else",
            f"{refused['429']} times 429, {refused['503']} times 503,"
            f" others: {unexpected or 'none'}",
            refused["429"] > 0 and not unexpected,
        ),
        Check(
            "the backlog stays within its bound",
            f"{most} unfinished jobs at most, of {seen.most_unfinished}",
            most <= seen.most_unfinished,
        ),
        Check(
            "throughput is flat",
            f"{first:.1f} images/s in the first half, {second:.1f} in the second",
            0.75 < second / first < 1.34,
        ),
        Check(
            "memory is flat",
            f"means of the halves grow by {growth[worst] - 1:+.0%} at most ({worst})",
            growth[worst] < 1.15,
        ),
        Check(
            "equal tenants wait equally",
            f"{twins[0]:.1f} and {twins[1]:.1f} s in the median",
            0.67 < twins[0] / twins[1] < 1.5,
        ),
        Check(
            "who asks for little does not wait for those who ask for much",
            f"{guest:.1f} s in the median, against {flood:.1f} s",
            guest < flood / 2,
        ),
    ]


def _rate(samples: Sequence[Sample]) -> float:
    """Images a second."""
    begin, end = samples[0], samples[-1]
    return (end.images_done - begin.images_done) / (end.seconds - begin.seconds)


def _memory(name: str) -> Callable[[Sample], float]:
    return lambda sample: sample.memory[name]


def _mean(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    return statistics.fmean(map(value, samples))


def write_report(seen: Observations, folder: Path, note: str) -> None:
    """`load.md`, `load.svg` and `load.json` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    found = checks(seen)
    (folder / "load.md").write_text(_text(seen, found, note), "utf-8")
    numbers = {
        "minutes": seen.minutes,
        "answers": seen.answers,
        "checks": [asdict(it) for it in found],
        "tenants": {name: _waits(seen.of(name)) for name in _tenants(seen)},
        "samples": [asdict(it) for it in seen.samples[:: max(1, len(seen.samples) // 60)]],
    }
    (folder / "load.json").write_text(json.dumps(numbers, indent=1) + "\n")
    draw(seen, folder / "load.svg")


def _tenants(seen: Observations) -> list[str]:
    return sorted({it.tenant for it in seen.finished})


def _waits(jobs: Sequence[Finished]) -> dict[str, float]:
    waits = sorted(it.waited for it in jobs)
    return {
        "jobs": len(jobs),
        "images": sum(it.images for it in jobs),
        "wait_median": round(statistics.median(waits), 1),
        "wait_p95": round(waits[int(len(waits) * 0.95)], 1),
        "took_median": round(statistics.median(it.took for it in jobs), 1),
    }


def _text(seen: Observations, found: Sequence[Check], note: str) -> str:
    rows = "\n".join(
        f"| {it.promise} | {it.found} | {'holds' if it.holds else '**does not hold**'} |"
        for it in found
    )
    tenants = "\n".join(
        "| {} | {jobs} | {images} | {wait_median} | {wait_p95} | {took_median} |".format(
            name, **_waits(seen.of(name))
        )
        for name in _tenants(seen)
    )
    return f"""# Load

`make bench-load` keeps a deployment at saturation for {seen.minutes:g} minutes and watches it: two
API processes, one captioning worker with the starter model, one compose worker, a dispatcher, a
store with its append-only file on disk, all on one machine of {os.cpu_count()} cores, which the
callers share. {note}

Four tenants want more than there is: `flood` sends jobs of 40 new pictures, `twin-a` and `twin-b`
alike jobs of 12, as fast as they are let; `guest` sends one job of 4 and waits for it before the
next. What is refused is sent again after `Retry-After`. Finished jobs expire after three minutes,
so that files, records and memory are seen to be given back.

| Promise | Found | |
| --- | --- | --- |
{rows}

| Tenant | Jobs | Images | Queue wait, median s | p95 s | Whole time, median s |
| --- | --- | --- | --- | --- | --- |
{tenants}

Queue wait is the time from acceptance to the first unit of work that a worker begins; what a tenant
waits is made by its own backlog, for tenants take turns. The first fifth of the time is left out of
what should be flat.

![Throughput, backlog, memory, queue waits and answers over time](load.svg)

[Numbers](load.json)
"""


def draw(seen: Observations, path: Path) -> None:
    mpl.rcParams.update({"svg.hashsalt": "gridscribe", "font.size": 8, "svg.fonttype": "none"})
    figure = Figure(figsize=(9, 7), layout="constrained")
    throughput, backlog, memory, waits = figure.subplots(2, 2).flat
    minutes = [it.seconds / 60 for it in seen.samples]
    step = 6
    throughput.plot(
        minutes[step:],
        [
            _rate([before, after])
            for before, after in zip(seen.samples, seen.samples[step:], strict=False)
        ],
    )
    _label(throughput, "images a second, over half a minute")
    backlog.plot(minutes, [it.unfinished_jobs for it in seen.samples], label="unfinished jobs")
    for code in ("202", "429", "503"):
        backlog.plot(
            minutes, [it.answers.get(code, 0) for it in seen.samples], label=f"answers {code}, sum"
        )
    backlog.set_yscale("symlog")
    backlog.legend()
    _label(backlog, "backlog and answers")
    for name in seen.samples[0].memory:
        memory.plot(minutes, [it.memory[name] / 1e6 for it in seen.samples], label=name)
    memory.set_yscale("log")
    memory.legend(ncols=2)
    _label(memory, "MB in memory")
    for tenant in _tenants(seen):
        jobs = seen.of(tenant)
        waits.plot(
            [(it.at - seen.began) / 60 for it in jobs],
            [it.waited for it in jobs],
            ".",
            markersize=2,
            label=tenant,
        )
    waits.legend()
    _label(waits, "queue wait of each job, seconds")
    figure.savefig(path, metadata={"Date": None})


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("minutes")
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)
