"""What a run of `benchmarks.load` showed, as a page with tables and plots."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load_figures import (
    WARM_UP,
    Check,
    Observations,
    checks,
    growth,
    late_wait,
    median_wait,
)

MOMENTS = 40
"""Of the steady time, for the plot of throughput."""


def write_report(seen: Observations, folder: Path) -> None:
    """`load.md`, `load.svg` and `load.json` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    found = checks(seen)
    (folder / "load.md").write_text(_text(seen, found), "utf-8")
    thinned = seen.samples[:: max(1, len(seen.samples) // 60)]
    numbers = {
        "seconds": seen.seconds,
        "cores": seen.cores,
        "cores_of": seen.cores_of,
        "answers": seen.answers,
        "refused": seen.refused,
        "checks": [asdict(it) for it in found],
        "tenants": {tenant: _tenant(seen, tenant) for tenant in seen.tenants},
        "images_a_second": seen.rates(10),
        "samples": [asdict(it) for it in thinned],
    }
    (folder / "load.json").write_text(json.dumps(numbers, indent=1) + "\n")
    draw(seen, folder / "load.svg")


def _tenant(seen: Observations, tenant: str) -> dict[str, float]:
    jobs, refused = seen.of(tenant), seen.refused.get(tenant, {})
    return {
        "jobs": len(jobs),
        "images": seen.images(tenant),
        "wait_median": round(median_wait(jobs), 1),
        "wait_p95": round(late_wait(jobs), 1),
        "took_median": round(statistics.median(it.took for it in jobs), 1),
        "too_many_of_its_own": refused.get("429", 0),
        "service_full": refused.get("503", 0),
    }


def _text(seen: Observations, found: Sequence[Check]) -> str:
    share = seen.cores_of
    return f"""# Load

`make bench-load` keeps a deployment at saturation, here for {seen.seconds / 60:g} minutes, and
watches it: two API processes, one captioning worker with the starter model, one compose worker, a
dispatcher, a store with its append-only file on disk, all on one machine of {seen.cores} cores. The
service took {share["service"]:.0%} of them, the callers, whose pictures were drawn beforehand,
{share["callers"]:.0%}, and whatever else ran there {share["others"]:.0%}.

Four tenants want more than there is: `flood` sends jobs of 40 new pictures, `twin-a` and `twin-b`
alike jobs of 12, as fast as they are let; `guest` sends one job of 4 and waits for it before the
next. What is refused is sent again after `Retry-After`. Ended jobs expire after
{seen.ttl_seconds:g} seconds, so that files, records and memory are seen to be given back.

{_table(("Promise", "Found", ""), map(_check_cells, found))}

{_tenants_table(seen)}

Queue wait is the time from acceptance to the first unit of work that a worker begins. Tenants take
turns, so what one waits is made by its own backlog. The first {WARM_UP:.0%} of the time, while
queues fill, are left out of the figures of tenants, of what should be flat, and of the table below;
jobs sent then are counted all the same.

![Throughput, backlog, answers, memory and queue waits over time](load.svg)

{_memory_table(seen)}

[Numbers](load.json)
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _check_cells(check: Check) -> tuple[str, str, str]:
    return check.promise, check.found, "holds" if check.holds else "**does not hold**"


def _tenants_table(seen: Observations) -> str:
    return _table(
        (
            *("Tenant", "Jobs", "Images", "Queue wait, median s", "p95 s"),
            *("Whole time, median s", "429: its own bound", "503: everybody's"),
        ),
        [
            (tenant, *(f"{each:g}" for each in _tenant(seen, tenant).values()))
            for tenant in seen.tenants
        ],
    )


def _memory_table(seen: Observations) -> str:
    return _table(
        ("MB in memory, mean", "First half", "Second half", "Growth"),
        [
            (name, f"{first / 1e6:.1f}", f"{second / 1e6:.1f}", f"{second / first - 1:+.1%}")
            for name, (first, second) in sorted(growth(seen).items())
        ],
    )


def draw(seen: Observations, path: Path) -> None:
    mpl.rcParams.update({"svg.hashsalt": "gridscribe", "font.size": 9, "svg.fonttype": "none"})
    figure = Figure(figsize=(9, 9), layout="constrained")
    panels = figure.subplot_mosaic(
        [["throughput", "backlog"], ["answers", "waits"], ["memory", "memory"]]
    )
    minutes = [it.seconds / 60 for it in seen.samples]
    begin, width = seen.seconds * WARM_UP, seen.seconds * (1 - WARM_UP) / MOMENTS
    edges = [(begin + number * width) / 60 for number in range(MOMENTS + 1)]
    panels["throughput"].stairs(seen.rates(MOMENTS), edges)
    _label(panels["throughput"], f"images a second, over {width:.1f} s each")
    panels["backlog"].plot(minutes, [it.unfinished_jobs for it in seen.samples])
    panels["backlog"].axhline(seen.most_unfinished, linestyle="--", color="0.5")
    _label(panels["backlog"], "unfinished jobs, and their bound")
    for code in ("202", "429", "503"):
        so_far = [it.answers.get(code, 0) for it in seen.samples]
        panels["answers"].plot(minutes, so_far, label=code)
    panels["answers"].legend()
    _label(panels["answers"], "answers so far, by status")
    for tenant in seen.tenants:
        jobs = [it for it in seen.finished if it.tenant == tenant]
        accepted, waited = [it.accepted / 60 for it in jobs], [it.waited for it in jobs]
        # As pixels: thousands of dots would make the file large.
        panels["waits"].plot(accepted, waited, ".", markersize=4, label=tenant, rasterized=True)
    panels["waits"].legend()
    _label(panels["waits"], "queue wait of jobs, s, by acceptance")
    for name in sorted(seen.samples[0].memory):
        megabytes = [it.memory[name] / 1e6 for it in seen.samples]
        panels["memory"].plot(minutes, megabytes, label=name)
    panels["memory"].set_yscale("log")
    panels["memory"].legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=7)
    _label(panels["memory"], "MB in memory")
    figure.savefig(path, metadata={"Date": None}, dpi=200)


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("minutes")
    axes.set_xlim(left=0)
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)
