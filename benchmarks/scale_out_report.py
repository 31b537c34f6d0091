"""What a run of `benchmarks.scale_out` showed, as a page with tables and a plot."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.saturation import SENDERS, Found
from benchmarks.scale_out_figures import (
    DAY_IMAGES,
    JOB_IMAGES,
    PEAK,
    PEAK_UNITS,
    Capacity,
    Check,
    ModelHere,
    Report,
    Row,
    checks,
)

KINDS = ("caption", "compose", "api", "bucket", "store", "dispatcher", "callers")


def write_report(report: Report, folder: Path) -> None:
    """`scale-out.md`, `scale-out.svg` and `scale-out.json` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    found = checks(report)
    (folder / "scale-out.md").write_text(_text(report, found), "utf-8")
    numbers = {**asdict(report), "checks": [asdict(it) for it in found]}
    (folder / "scale-out.json").write_text(
        json.dumps(numbers, indent=1, default=str, allow_nan=False) + "\n"
    )
    draw(report, folder / "scale-out.svg")


def _text(report: Report, found: Sequence[Check]) -> str:
    others = [row.found.cores_of_others for row in report.rows]
    here, side = report.here, report.small_side
    return f"""# Scale-out

Written by `make bench-scale-out`, which took {report.seconds / 60:.1f} minutes on a machine of
{report.cores} cores. Other work took {statistics.median(others):.0%} of them in the median, and
{max(others):.0%} at most.

Each row is a deployment of its own: API processes, a dispatcher, captioning and compose workers,
joined by a Redis over TCP with its append-only file and by an S3 bucket (moto's server), and by no
folder. {SENDERS} callers send jobs of {report.images} new pictures over HTTP and see to it that
some always wait. All of it, the bucket's server and the callers too, shares the cores. Rates are
medians of {len(report.elsewhere[0].found.rates)} windows of one run, with their range; read the
ratios.

{_checks_table(found)}

![Rates against the number of captioning workers, and the processor time of an image](scale-out.svg)

[Numbers](scale-out.json)

## The queue alone: a model that is elsewhere

A stand-in sleeps {report.image_seconds * 1000:g} ms for each picture, as a worker waits for its
GPU. All else is the real worker. The bound is what so many sleepers can do.

{_queue_table(report.elsewhere)}

## The model on these cores

{here.architecture} with weights drawn by lot, JPEGs of {here.side} x {here.side}; the workers
divide the cores among them, one each at least. The bound is what the cores could do if they did
nothing but the model's and the decoder's bare work, measured before and after each row. The second
bound allows for the bucket's server and the callers as well, which are elsewhere in production;
what is left to it is work for the same picture beside the model: receiving, fetching, composing,
and the queue.

{_model_table(here)}

## API and compose processes

Jobs without captions, pictures of {side} x {side}: two API processes and one or two compose
workers, then one or two API processes and no worker. The bucket's server is one Python process,
which bounds them all once it takes a whole core. What a process could do that had a core, and a
bucket without a bound, follows from its own time.

{_pair_table(report)}

## Processor time of an image

Milliseconds of a core, by kind of process; the numbers are those of captioning workers.

{_times_table(report)}

## The store and the dispatcher

No worker and no model: one process takes each step for one unit after the other, through a socket
to a store that keeps nothing on disk. Medians of {len(report.capacity[0].rounds)} rounds, with
their range.

{_capacity_table(report.capacity)}

Ten million images a day are {DAY_IMAGES / 86400:.0f} a second and {PEAK} times as many at peak:
with jobs of {JOB_IMAGES} that is {PEAK_UNITS:.0f} units of work a second. The page on
[scaling](../scaling.md) says what follows.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _checks_table(found: Sequence[Check]) -> str:
    return _table(
        ("Promise", "Found", ""),
        [(it.promise, it.found, "holds" if it.holds else "**does not hold**") for it in found],
    )


def _rate(found: Found) -> str:
    return f"{found.rate:.1f} ({min(found.rates):.1f} to {max(found.rates):.1f})"


def _queue_table(rows: Sequence[Row]) -> str:
    return _table(
        (
            *("Captioning workers", "API", "Compose", "Images/s", "Bound", "Share of it"),
            *("Least busy worker / busiest", "Cores used"),
        ),
        [
            (
                *map(str, (row.sizes.captions, row.sizes.apis, row.sizes.composes)),
                _rate(row.found),
                f"{row.bound:.0f}",
                f"{row.share:.2f}",
                f"{row.found.evenness:.2f}",
                f"{row.found.cores_used:.0%}",
            )
            for row in rows
        ],
    )


def _model_table(here: ModelHere) -> str:
    return _table(
        (
            *("Captioning workers", "Images/s", "Bound", "Share of it"),
            *("Bound beside bucket and callers", "Share of it"),
            *("Model + decoder, ms of a core an image", "Captioning workers, ms"),
            *("All processes, ms", "Cores used", "Memory of a worker, MB"),
        ),
        [
            (
                str(row.sizes.captions),
                _rate(row.found),
                f"{row.bound:.1f}",
                f"{row.share:.2f}",
                f"{beside:.1f}",
                f"{row.found.rate / beside:.2f}",
                f"{bound.encode:.1f} + {bound.decode:.1f}",
                f"{row.found.processor_ms['caption']:.1f}",
                f"{sum(row.found.processor_ms.values()):.1f}",
                f"{row.found.cores_used:.0%}",
                f"{row.found.worker_bytes / 1e6:.0f}",
            )
            for row, bound, beside in zip(
                here.rows, here.bounds, here.bounds_beside_equipment(), strict=True
            )
        ],
    )


def _pair_table(report: Report) -> str:
    pairs = (
        ("composed by compose workers", report.composing, "compose"),
        ("accepted by API processes", report.accepting, "api"),
    )
    return _table(
        (
            *("Pictures", "One, images/s", "Two, images/s", "Times"),
            *("Bucket's server, of a core", "Cores used by all"),
            *("Its own time, ms of a core an image", "Images/s that a core of it could do"),
        ),
        [
            (
                what,
                _rate(one.found),
                _rate(two.found),
                f"{two.found.rate / one.found.rate:.2f}",
                *(
                    f"{first:.0%} and {second:.0%}"
                    for first, second in (
                        (_bucket_core(one.found), _bucket_core(two.found)),
                        (one.found.cores_used, two.found.cores_used),
                    )
                ),
                f"{one.found.processor_ms[kind]:.1f}",
                f"{1000 / one.found.processor_ms[kind]:,.0f}",
            )
            for what, (one, two), kind in pairs
        ],
    )


def _bucket_core(found: Found) -> float:
    """The part of one core that the bucket's server took."""
    return found.processor_ms["bucket"] * found.rate / 1000


def _times_table(report: Report) -> str:
    return _table(
        ("Deployment", *KINDS),
        [
            (name, *(f"{row.found.processor_ms.get(kind, 0):.1f}" for kind in KINDS))
            for name, row in _shown_times(report)
        ],
    )


def _shown_times(report: Report) -> list[tuple[str, Row]]:
    many = report.elsewhere[-2]
    return [
        (f"model elsewhere, {many.sizes.captions}", many),
        *((f"model here, {row.sizes.captions}", row) for row in report.here.rows),
        ("composing alone", report.composing[-1]),
        ("accepting alone", report.accepting[-1]),
    ]


def _capacity_table(capacity: Sequence[Capacity]) -> str:
    names = {
        "jobs accepted a second": "jobs accepted a second",
        "units leased a second": "units dispatched a second",
        "units published a second": "units published a second",
        "units begun and committed a second": "units begun and committed a second",
        "round trips of one connection a second": "pings",
        "bytes of a job that waits": "bytes of a job that waits",
        "bytes of a job that ended": "bytes of a job that ended",
    }
    times = [each.median("units published a second") / PEAK_UNITS for each in capacity]
    a_day = [
        each.median("bytes of a job that ended") * DAY_IMAGES / each.images / 1e9
        for each in capacity
    ]
    return _table(
        ("", *(f"jobs of {each.images}" for each in capacity)),
        [
            *((title, *(each.spread(name) for each in capacity)) for title, name in names.items()),
            ("published, times the need at peak", *(f"{each:.0f}" for each in times)),
            ("GB of a day's ten million images", *(f"{each:.1f}" for each in a_day)),
        ],
    )


def draw(report: Report, path: Path) -> None:
    mpl.rcParams.update({"svg.hashsalt": "gridscribe", "font.size": 8, "svg.fonttype": "none"})
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplot_mosaic([["elsewhere", "here"], ["times", "times"]])
    _curve(panels["elsewhere"], report.elsewhere[:-1], "images a second, model elsewhere")
    _curve(
        panels["here"],
        report.here.rows,
        "images a second, model on these cores",
        report.here.bounds_beside_equipment(),
    )
    times = panels["times"]
    shown = _shown_times(report)[::-1]
    left = [0.0] * len(shown)
    for kind in KINDS:
        widths = [row.found.processor_ms.get(kind, 0.0) for _, row in shown]
        times.barh([name for name, _ in shown], widths, left=left, label=kind)
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    times.set_title("processor time of an image, ms of a core")
    times.legend(ncols=len(KINDS), loc="lower right")
    figure.savefig(path, metadata={"Date": None})


def _curve(axes: Axes, rows: Sequence[Row], title: str, beside: Sequence[float] = ()) -> None:
    workers = [row.sizes.captions for row in rows]
    rates = [row.found.rate for row in rows]
    if beside:
        axes.plot(workers, beside, ":", color="0.5", label="bound beside bucket and callers")
    axes.plot(workers, [row.bound or 0.0 for row in rows], "--", color="0.5", label="bound")
    below = [rate - min(row.found.rates) for rate, row in zip(rates, rows, strict=True)]
    above = [max(row.found.rates) - rate for rate, row in zip(rates, rows, strict=True)]
    axes.errorbar(workers, rates, [below, above], marker="o", capsize=3, label="measured")
    axes.set_ylim(bottom=0)
    axes.set_xticks(workers)
    axes.set_xlabel("captioning workers")
    axes.set_title(title)
    axes.legend()
