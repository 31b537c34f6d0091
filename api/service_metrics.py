"""`GET /metrics`: the numbers of the whole service, read from Redis when they are asked for.

All processes add theirs up there (`shared.counters`), so it does not matter which API process is
asked, nor how many there are.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.counters import COUNTERS, LAST_BUCKET, Counters
from shared.job_store import JobStore
from shared.keyspace import PREFIX, script_source
from shared.work_units import WorkerKind, WorkerStamp

_FLUSH_SECONDS = 5.0
_KINDS = (WorkerKind.CAPTION, WorkerKind.COMPOSE)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A family that is kept as counters; `unit` is what a stored number 1 is worth."""

    stored: str
    shown: str
    help: str
    labels: tuple[str, ...] = ()
    unit: float | None = None
    """None for a plain counter, else it is a histogram."""


_FAMILIES = (
    _Counted("jobs_accepted", "jobs_accepted", "Jobs answered with 202."),
    _Counted("images_accepted", "images_accepted", "Images of accepted jobs."),
    _Counted("jobs_finished", "jobs_finished", "Jobs by how they ended.", ("status",)),
    _Counted("stage_ms", "job_stage_seconds", "Time of ended jobs by stage.", ("stage",), 0.001),
    _Counted("batch_images", "batch_images", "Images of one batch through the model.", (), 1),
    _Counted("requests", "requests", "HTTP requests.", ("method", "route", "status")),
    _Counted(
        "request_ms", "request_seconds", "Time to the first byte.", ("method", "route"), 0.001
    ),
    _Counted("refusals", "refusals", "Requests refused with a problem, by its code.", ("code",)),
    _Counted(
        "inbound_events",
        "inbound_events",
        "Events of sources by what became of them.",
        ("adapter", "outcome"),
    ),
    _Counted(
        "inbound_collections",
        "inbound_collections",
        "Jobs of sources by how they ended: with a grid, or not.",
        ("outcome",),
    ),
    _Counted(
        "delivery_attempts", "webhook_attempts", "Attempts at webhooks by outcome.", ("outcome",)
    ),
    _Counted("deliveries", "webhook_deliveries", "Webhooks by how they ended.", ("state",)),
    _Counted("delivery_ms", "webhook_delay_seconds", "From an event to its delivery.", (), 0.001),
    _Counted(
        "messages_dropped",
        "messages_dropped",
        "Messages of the queue that asked for nothing that can be done.",
        ("reason",),
    ),
    _Counted("received_bytes", "received_bytes", "Bytes of request bodies."),
)


class ServiceMetrics:
    """Raises the store's own errors when it cannot be reached."""

    def __init__(self, redis: Redis, store: JobStore, counters: Counters) -> None:
        self._redis = redis
        self._store = store
        self._counters = counters
        self._waiting = redis.register_script(script_source("waiting"))

    async def render(self) -> bytes:
        """Everything in Prometheus's text format."""
        await _bring(self._counters, self._redis)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(COUNTERS)
            for key in ("queued", "active", "leases:caption", "leases:compose"):
                pipe.zcard(f"{PREFIX}{key}")
            pipe.zcard(f"{PREFIX}deliveries")
            counts, queued, active, *leased, pending = await pipe.execute()
        *waiting, due = cast("list[int]", await self._waiting(keys=[PREFIX]))
        registry = CollectorRegistry()
        registry.register(
            _Snapshot(
                [
                    *_counted(counts),
                    _gauge(
                        "jobs",
                        "Unfinished jobs by state.",
                        "state",
                        [("queued", queued), ("running", active - queued)],
                    ),
                    _gauge(
                        "units_waiting",
                        "Units of work that wait for a worker.",
                        "kind",
                        zip(_KINDS, waiting, strict=True),
                    ),
                    _gauge(
                        "units_leased",
                        "Units of work handed out.",
                        "kind",
                        zip(_KINDS, leased, strict=True),
                    ),
                    _gauge(
                        "webhooks",
                        "Webhooks that wait for an attempt; those due have waited long enough.",
                        "state",
                        [("due", due), ("later", pending - due)],
                    ),
                    *_workers(await self._store.live_workers()),
                ]
            )
        )
        return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauge(
    name: str, help_text: str, label: str, values: Iterable[tuple[str, int]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"gridscribe_{name}", help_text, labels=[label])
    for value, number in values:
        family.add_metric([value], number)
    return family


def _workers(live: Mapping[WorkerKind, tuple[WorkerStamp, ...]]) -> Iterator[Metric]:
    yield _gauge(
        "workers", "Live processes.", "kind", [(kind, len(live[kind])) for kind in WorkerKind]
    )
    yield _gauge(
        "worker_capacity",
        "Units of work that live workers can do at once.",
        "kind",
        [(kind, sum(stamp.capacity for stamp in live[kind])) for kind in _KINDS],
    )


def _counted(counts: Mapping[str, str]) -> Iterator[Metric]:
    by_name: dict[str, list[tuple[list[str], int]]] = defaultdict(list)
    for field, stored in sorted(counts.items()):
        name, *labels = field.split("|")
        by_name[name].append((labels, int(stored)))
    for family in _FAMILIES:
        samples = by_name[family.stored]
        if not (samples or family.labels):  # a number that may be asked for before it has grown
            samples = [(["sum"] if family.unit else [], 0)]
        shown = f"gridscribe_{family.shown}"
        if family.unit is None:
            counter = CounterMetricFamily(shown, family.help, labels=family.labels)
            for values, number in samples:
                counter.add_metric(values, number)
            yield counter
        else:
            histogram = HistogramMetricFamily(shown, family.help, labels=family.labels)
            for group, numbers in _grouped(samples).items():
                histogram.add_metric(group, *_buckets_and_sum(numbers, family.unit))
            yield histogram


def _grouped(samples: Iterable[tuple[list[str], int]]) -> dict[tuple[str, ...], dict[str, int]]:
    """The buckets of each combination of labels; the last part of a field names the bucket."""
    groups: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for (*labels, bucket), number in samples:
        groups[tuple(labels)][bucket] = number
    return groups


def _buckets_and_sum(
    numbers: Mapping[str, int], unit: float
) -> tuple[list[tuple[str, float]], float]:
    """Cumulative, as Prometheus wants them."""
    total, buckets = 0, []
    for bucket in range(LAST_BUCKET):
        total += numbers.get(str(bucket), 0)
        buckets.append((str(float(2**bucket * unit)), float(total)))
    total += numbers.get(str(LAST_BUCKET), 0)
    return [*buckets, ("+Inf", float(total))], numbers.get("sum", 0) * unit


@contextlib.asynccontextmanager
async def brought_regularly(counters: Counters, redis: Redis) -> AsyncIterator[None]:
    """Bring what is counted to Redis every few seconds, and once more at the end."""

    async def bring() -> None:
        try:
            await _bring(counters, redis)
        except (RedisError, OSError) as error:
            _log.debug("the counts wait, for the store is not reachable: %s", error)

    async def bring_forever() -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await bring()

    task = asyncio.create_task(bring_forever())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await bring()


async def _bring(counters: Counters, redis: Redis) -> None:
    with counters.taken() as counts:
        async with redis.pipeline(transaction=True) as pipe:
            for field, amount in counts.items():
                pipe.hincrby(COUNTERS, field, amount)
            await pipe.execute()
