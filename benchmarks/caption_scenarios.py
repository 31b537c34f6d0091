"""What the captioning benchmark does, one function a question."""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.caption_bounds import Bound, Parts, old_way
from benchmarks.caption_service import CaptionService, running
from gridscribe.local import make_sheet
from shared.job_spec import JobSpec
from worker.captioning.captioning import Captioning, CaptioningConfig
from worker.captioning.engine import Backend, Engine

CAPTIONS = JobSpec(use_clip=True)
MANY, SMALL = 256, 4


@dataclass(slots=True)
class Figure:
    """One question's answers over the rounds; `aim` is the least, or with `at_most` the most."""

    name: str
    unit: str
    aim: float | None = None
    at_most: bool = False
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        if self.aim is None:
            return None
        return self.median <= self.aim if self.at_most else self.median >= self.aim


@dataclass(frozen=True, slots=True)
class Inputs:
    data: Path
    """For caches and services; the pictures' folder is in it."""
    pictures: Path
    pngs: Sequence[Path]
    jpegs: Sequence[Path]
    model: str


def dealt(pictures: Sequence[Path], jobs: int, size: int) -> list[list[Path]]:
    return [
        [pictures[(job * size + number) % len(pictures)] for number in range(size)]
        for job in range(jobs)
    ]


@contextmanager
def service(
    inputs: Inputs, *, model: str, backend: Backend = "torch", composes: bool = False
) -> Iterator[CaptionService]:
    environment = {"GRIDSCRIBE_CLIP_MODELS": model, "GRIDSCRIBE_CLIP_BACKEND": backend}
    with running(
        inputs.data, inputs.pictures, composes=composes, environment=environment
    ) as started:
        for _ in range(2):
            (job,) = started.submit(dealt(inputs.pngs, 1, 32), CAPTIONS)
            started.wait(job)
        yield started


def rate(started: CaptionService, jobs: Sequence[Sequence[Path]]) -> float:
    """Images a second, from the first job's acceptance to the last one's last caption."""
    times = [started.wait(job) for job in started.submit(jobs, CAPTIONS)]
    seconds = max(each.captioned for each in times) - min(each.queued for each in times)
    return sum(map(len, jobs)) / seconds


def throughput(inputs: Inputs, backend: Backend, rounds: int, old_rate: float) -> list[Figure]:
    """Both mixes of jobs and the bound take turns."""
    many = Figure(f"1 job of {MANY}", "images/s")
    small = Figure(f"{MANY // SMALL} jobs of {SMALL}", "images/s")
    encode, decode = Figure("encode_image alone, CPU", "ms"), Figure("decode alone, CPU", "ms")
    spent = Figure("the worker's CPU time an image", "ms")
    limit = Figure("the bound", "images/s")
    of_bound = [Figure(f"{each.name}, share of the bound", "", aim=0.90) for each in (many, small)]
    evenness = Figure("small jobs' rate over the big one's", "", aim=0.95)
    old = Figure("times the old way's rate", "", aim=40 if backend == "torch" else 55)
    parts = Parts(inputs.model, Engine(backend=backend), inputs.pngs)
    try:
        with service(inputs, model=inputs.model, backend=backend) as started:
            before = parts.measure(seconds=1.0)
            for _ in range(rounds):
                cpu = started.caption_cpu()
                many.values.append(rate(started, dealt(inputs.pngs, 1, MANY)))
                spent.values.append((started.caption_cpu() - cpu) * 1000 / MANY)
                small.values.append(rate(started, dealt(inputs.pngs, MANY // SMALL, SMALL)))
                after = parts.measure(seconds=1.0)
                bound = _mean(before, after)
                before = after
                encode.values.append(bound.encode)
                decode.values.append(bound.decode)
                for figure, measured in zip(of_bound, (many, small), strict=True):
                    figure.values.append(measured.values[-1] / bound.rate)
                limit.values.append(bound.rate)
                evenness.values.append(small.values[-1] / many.values[-1])
                old.values.append(many.values[-1] / old_rate)
    finally:
        parts.close()
    return [encode, decode, spent, limit, many, small, *of_bound, evenness, old]


def _mean(before: Bound, after: Bound) -> Bound:
    """The bound at the time between: a machine that gets busier shall not flatter the service."""
    return Bound(
        (before.encode + after.encode) / 2, (before.decode + after.decode) / 2, after.cores
    )


def old_rate(inputs: Inputs, rounds: int) -> Figure:
    figure = Figure("the old way", "images/s")
    for path in inputs.pngs[:rounds]:
        figure.values.append(1 / old_way(inputs.model, path))
    return figure


def small_beside_big(inputs: Inputs, rounds: int) -> list[Figure]:
    """Whole jobs, from acceptance to the stored sheet."""
    alone = Figure(f"job of {SMALL} alone", "s")
    beside = Figure(f"job of {SMALL} beside a job of 500", "s")
    with service(inputs, model=inputs.model, composes=True) as started:

        def seconds() -> float:
            (job,) = started.submit(dealt(inputs.pngs, 1, SMALL), CAPTIONS)
            times = started.wait(job, composed=True)
            return (times.finished or 0) - times.queued

        for _ in range(3):
            seconds()
        for _ in range(rounds):
            alone.values.extend(seconds() for _ in range(5))
            (big,) = started.submit(dealt(inputs.pngs, 1, 500), CAPTIONS)
            while started.captions_done(big) < 32:
                time.sleep(0.02)
            while started.captions_done(big) < 420:
                beside.values.append(seconds())
            started.wait(big, composed=True)
    ratio = Figure("p95 beside, over the median alone", "", aim=2.0, at_most=True)
    ratio.values.append(p95(beside.values) / alone.median)
    return [alone, beside, ratio]


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]


def idle_overhead(inputs: Inputs, rounds: int) -> list[Figure]:
    """A job of nine with `starter` against the same in this process, in turns."""
    nine = dealt(inputs.pngs, 1, 9)
    through, bare = Figure("9 images, through the service", "s"), Figure("9 images, bare", "s")
    overhead = Figure("overhead", "s", aim=0.150, at_most=True)
    config = CaptioningConfig(
        models=("starter",),
        fallback_to_starter=True,
        cache_dir=inputs.data / "cache",
        threads=None,
        max_batch=32,
        batch_wait_ms=4,
        batch_timeout_seconds=60,
        model_retry_seconds=60,
        image_cache_bytes=0,
    )
    captioning = Captioning(config)
    captioning.load()
    try:
        with (
            service(inputs, model="starter", composes=True) as started,
            tempfile.TemporaryDirectory() as folder,
        ):
            for number in range(rounds + 2):
                (job,) = started.submit(nine, CAPTIONS)
                times = started.wait(job, composed=True)
                begun = time.perf_counter()
                sheet = Path(folder) / "sheet.png"
                make_sheet(
                    CAPTIONS, nine[0], sheet, captioning=captioning, on_progress=lambda *_: None
                )
                if number >= 2:  # warm
                    bare.values.append(time.perf_counter() - begun)
                    through.values.append((times.finished or 0) - times.queued)
                    overhead.values.append(through.values[-1] - bare.values[-1])
                time.sleep(0.2)
    finally:
        captioning.close()
    return [through, bare, overhead]


def new_vocabulary(inputs: Inputs) -> list[Figure]:
    """600 terms of a request's own in seven templates: its first job, its second, one without."""
    mark = os.urandom(4).hex()
    spec = JobSpec(
        use_clip=True,
        candidates=tuple(f"thing {mark} {number}" for number in range(600)),
        prompt_templates=tuple(f"a photo number {n} of {{}}" for n in range(7)),
    )
    figures = [
        Figure(f"job of {SMALL}, {words}", "s")
        for words in ("new words", "the same words again", "the vocabulary's words")
    ]
    with service(inputs, model=inputs.model) as started:
        for figure, asked in zip(figures, (spec, spec, CAPTIONS), strict=True):
            for _ in range(1 if figure is figures[0] else 5):
                (job,) = started.submit(dealt(inputs.pngs, 1, SMALL), asked)
                times = started.wait(job)
                figure.values.append(times.captioned - times.queued)
    extra = Figure("second job's extra", "s", aim=0.05, at_most=True)
    extra.values.append(figures[1].median - figures[2].median)
    return [*figures, extra]


def memory_curve(inputs: Inputs, images: int) -> list[tuple[int, float]]:
    """Images captioned so far, and MB of the captioning worker then."""
    curve: list[tuple[int, float]] = []
    with service(inputs, model=inputs.model) as started:
        jobs = started.submit(dealt(inputs.jpegs, 2, images // 2), CAPTIONS)
        while (done := sum(map(started.captions_done, jobs))) < images:
            if done >= len(curve) * images // 10:
                curve.append((done, started.caption_memory() / 1e6))
            time.sleep(0.05)
        curve.append((done, started.caption_memory() / 1e6))
    return curve


def flatness(curve: Sequence[tuple[int, float]]) -> Figure:
    """Mean memory over the last third of the images, against the third before.

    The first third is for warming up: pools of threads, and arenas of the allocator for each.
    """
    images = curve[-1][0]
    thirds = [
        [megabytes for done, megabytes in curve if low < 3 * done / images <= low + 1]
        for low in (1, 2)
    ]
    middle, last = (statistics.mean(each) for each in thirds)
    figure = Figure("last third over the middle third", "", aim=1.03, at_most=True)
    figure.values.append(last / middle)
    return figure
