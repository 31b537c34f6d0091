"""What more processes bring: `make bench-scale-out`.

Each row is a deployment of its own whose processes share a bucket and a Redis over TCP, and no
folder; jobs come over HTTP. docs/reports/scale-out.md comes of it.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import capacity
from benchmarks.caption_bounds import Bound, Parts
from benchmarks.caption_inputs import ARCHITECTURE, random_model
from benchmarks.picture_pool import PicturePool
from benchmarks.saturation import Demand, Found, Setup, saturate
from benchmarks.scale_out_figures import Capacity, ModelHere, Report, Row
from benchmarks.scale_out_report import write_report
from tests.fixtures.cluster import Sizes
from tests.fixtures.s3 import Bucket, bucket_server
from worker.captioning.captioning import Captioning, CaptioningConfig
from worker.captioning.cores import available_cores
from worker.captioning.engine import TORCH

IMAGE_SECONDS = 0.1
"""What the stand-in sleeps for each picture."""
STAND_IN = Setup(
    Sizes(apis=2, captions=1, composes=2),
    {
        "QUICK_BATCH_SECONDS": "0",
        "QUICK_IMAGE_SECONDS": str(IMAGE_SECONDS),
        "GRIDSCRIBE_MAX_BATCH": "2",  # or a window would see pictures by the dozen or none
        "GRIDSCRIBE_CHUNK_SIZE": "8",
    },
    caption_app="tests.fixtures.quick_worker",
)
IMAGES = 16
SMALL_SIDE, REAL_SIDE = 64, 512
CAPACITY_JOBS = {4: 300, 9: 300, 100: 40}
CAPACITY_ROUNDS = 3


class Bench:
    def __init__(self, data: Path, folder: Path, bucket: Bucket, windows: int) -> None:
        self._data, self._folder, self._bucket, self._windows = data, folder, bucket, windows
        self._small = PicturePool(SMALL_SIDE)
        self._runs = 0

    def model_elsewhere(self) -> Iterator[Row]:
        """Workers that wait for their model, as for a GPU: the queue and nothing else."""
        for sizes in (
            *(replace(STAND_IN.sizes, captions=count) for count in (1, 2, 4, 8)),
            Sizes(apis=1, captions=4, composes=1),
        ):
            found = self._saturate(
                replace(STAND_IN, sizes=sizes), self._small, 3 * sizes.captions + 3
            )
            yield Row(sizes, found, sizes.captions / IMAGE_SECONDS)

    def model_here(self) -> ModelHere:
        """The real model on this machine's cores, which all the other processes want too."""
        pictures = PicturePool(REAL_SIDE)
        model = random_model(self._data / "random-vit-b-32")
        cache = self._data / "cache"
        read_vocabulary(model, cache)
        parts = Parts(model, TORCH, pictures.write(self._folder / "pictures"))
        cores = available_cores()
        rows, bounds = [], []
        try:
            before = parts.measure(seconds=0.7)
            for count in (1, 2, 3, 4):
                sizes = Sizes(apis=2, captions=count, composes=2)
                settings = {
                    "GRIDSCRIBE_CLIP_MODELS": model,
                    "GRIDSCRIBE_CLIP_THREADS": str(max(1, cores // count)),
                }
                found = self._saturate(
                    Setup(sizes, settings, text_features=cache), pictures, 3 * count + 3
                )
                after = parts.measure(seconds=0.7)
                bound = Bound(
                    (before.encode + after.encode) / 2, (before.decode + after.decode) / 2, cores
                )
                before = after
                rows.append(Row(sizes, found, bound.rate))
                bounds.append(bound)
                show(rows[-1])
        finally:
            parts.close()
        return ModelHere(ARCHITECTURE, REAL_SIDE, rows, bounds)

    def composing(self) -> Iterator[Row]:
        """Jobs without captions."""
        for count in (1, 2):
            sizes = Sizes(apis=2, captions=0, composes=count)
            demand = Demand(self._small, IMAGES, backlog=12, use_clip=False)
            yield Row(sizes, self._run(Setup(sizes), demand, "finished"), None)

    def accepting(self) -> Iterator[Row]:
        """Nobody works on what comes in."""
        for count in (1, 2):
            sizes = Sizes(apis=count, captions=0, composes=0)
            demand = Demand(self._small, IMAGES, backlog=10**6, use_clip=False)
            yield Row(sizes, self._run(Setup(sizes), demand, "accepted"), None)

    def _saturate(self, setup: Setup, pictures: PicturePool, backlog: int) -> Found:
        return self._run(setup, Demand(pictures, IMAGES, backlog), "looked at")

    def _run(self, setup: Setup, demand: Demand, moment: str) -> Found:
        self._runs += 1
        return saturate(
            self._folder / f"deployment-{self._runs}",
            self._bucket,
            setup,
            demand,
            moment,  # type: ignore[arg-type] # one of three words, see above
            windows=self._windows,
            window_seconds=3.0 if demand.use_clip else 2.0,
        )


def read_vocabulary(model: str, cache: Path) -> None:
    """Once: it takes a minute and more, and is kept in `cache` for every worker to come."""
    captioning = Captioning(
        CaptioningConfig(
            models=(model,),
            fallback_to_starter=False,
            cache_dir=cache,
            threads=None,
            max_batch=32,
            batch_wait_ms=4,
            batch_timeout_seconds=60,
            model_retry_seconds=60,
            image_cache_bytes=0,
        )
    )
    captioning.load()
    captioning.close()


def measure_capacity() -> list[Capacity]:
    """The store's part and the dispatcher's, with no worker and no model."""
    found = []
    with capacity.store() as settings:
        for images, jobs in CAPACITY_JOBS.items():
            rounds = []
            for _ in range(CAPACITY_ROUNDS):
                pings = capacity.round_trips(settings)
                rounds.append({"pings": pings, **capacity.measure(settings, jobs, images)})
            found.append(Capacity(images, rounds))
    return found


def show(row: Row) -> None:
    found = row.found
    bound = f" of {row.bound:.1f}" if row.bound else ""
    print(  # noqa: T201
        f"{row.sizes.apis} API, {row.sizes.captions} captioning, {row.sizes.composes} compose: "
        f"{found.rate:.1f}{bound} images/s, cores {found.cores_used:.0%}, "
        f"others {found.cores_of_others:.0%}",
        flush=True,
    )


def shown(rows: Iterator[Row]) -> list[Row]:
    collected = []
    for row in rows:
        show(row)
        collected.append(row)
    return collected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=5, help="looks at each deployment")
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--report", type=Path, default=Path("docs/reports"))
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the worker, for the bound
    began = time.monotonic()
    data = arguments.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scale-out-", dir=data) as folder:
        with bucket_server() as bucket:
            bench = Bench(data, Path(folder), bucket, arguments.windows)
            elsewhere = shown(bench.model_elsewhere())
            here = bench.model_here()
            composing = shown(bench.composing())
            accepting = shown(bench.accepting())
        report = Report(
            elsewhere=elsewhere,
            image_seconds=IMAGE_SECONDS,
            small_side=SMALL_SIDE,
            here=here,
            composing=composing,
            accepting=accepting,
            images=IMAGES,
            capacity=measure_capacity(),
            cores=available_cores(),
            seconds=time.monotonic() - began,
        )
    write_report(report, arguments.report)


if __name__ == "__main__":
    main()
