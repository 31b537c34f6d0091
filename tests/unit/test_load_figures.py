"""The load report's verdicts follow from the figures, whichever way these fall."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.load_figures import Finished, Observations, Sample, checks
from benchmarks.load_report import write_report

SECONDS = 600.0
WAITS = {"flood": 60.0, "guest": 0.5, "twin-a": 20.0, "twin-b": 21.0}


def test_a_steady_and_fair_run_keeps_every_promise(tmp_path: Path) -> None:
    seen = run()
    assert broken(seen) == []
    write_report(seen, tmp_path)
    page = (tmp_path / "load.md").read_text()
    assert "does not hold" not in page
    assert "whatever else ran there 3%" in page


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        (lambda it: replace(it, accepted=it.accepted + 1), "no accepted job is lost"),
        (lambda it: replace(it, finished=it.finished[:-1]), "no accepted job is lost"),
        (lambda it: replace(it, deaths=1), "no process ends by itself"),
        (lambda it: replace(it, without_pause=1), "what is too much is refused"),
        (lambda it: replace(it, answers={"202": 5, "429": 1}), "what is too much is refused"),
        (lambda it: replace(it, answers=it.answers | {"500": 1}), "what is too much is refused"),
    ],
)
def test_each_fault_breaks_its_promise(
    change: Callable[[Observations], Observations], promise: str
) -> None:
    (only,) = broken(change(run()))
    assert only.startswith(promise)


def test_a_queue_that_runs_dry_is_no_saturation() -> None:
    seen = run()
    dry = [replace(it, unfinished_jobs=2) if it.seconds == 300 else it for it in seen.samples]
    assert broken(replace(seen, samples=dry)) == [
        "the backlog stays within its bound, and never runs dry"
    ]


def test_queues_that_fill_are_no_growth() -> None:
    seen = run()
    filling = [
        replace(it, unfinished_jobs=0, memory=dict.fromkeys(it.memory, 1))
        if it.seconds < 100
        else it
        for it in seen.samples
    ]
    assert broken(replace(seen, samples=filling)) == []


def test_memory_that_grows_is_told_by_its_process() -> None:
    seen = run()
    leaking = [
        replace(it, memory={**it.memory, "api-0": round(1e6 * (1 + it.seconds / 600))})
        for it in seen.samples
    ]
    found = next(
        it for it in checks(replace(seen, samples=leaking)) if it.promise == "memory is flat"
    )
    assert not found.holds
    assert found.found.endswith("(api-0)")


def test_a_pause_of_the_service_is_not_flat() -> None:
    seen = run()
    pausing = [it for it in seen.finished if not 300 <= it.ended < 350]
    promises = broken(replace(seen, finished=pausing))
    assert "throughput is flat" in promises


def test_a_small_tenant_may_not_wait_longer_than_those_who_flood() -> None:
    promise = "who asks for little waits no longer than those who ask for more than there is"
    assert broken(run({**WAITS, "guest": 25.0})) == [promise]


def test_one_of_two_equal_tenants_may_not_be_served_first() -> None:
    assert broken(run({**WAITS, "twin-a": 2.0})) == ["equal tenants wait equally"]


def broken(seen: Observations) -> list[str]:
    return [it.promise for it in checks(seen) if not it.holds]


def run(waits: dict[str, float] = WAITS) -> Observations:
    """Each tenant has a job accepted every second."""
    finished = [
        Finished(tenant, 12, "succeeded", float(second), wait, float(second) + wait + 1)
        for tenant, wait in waits.items()
        for second in range(round(SECONDS))
    ]
    samples = [
        Sample(float(second), 100, {"store": 10**6, "api-0": 10**6}, {})
        for second in range(0, round(SECONDS), 2)
    ]
    return Observations(
        seconds=SECONDS,
        ttl_seconds=60,
        most_unfinished=160,
        accepted=len(finished),
        finished=finished,
        answers={"202": len(finished), "429": 10, "503": 10},
        refused={"flood": {"429": 10, "503": 10}},
        without_pause=0,
        samples=samples,
        counted_accepted=len(finished),
        counted_finished=len(finished),
        deaths=0,
        cores=2,
        cores_of={"service": 0.95, "callers": 0.02, "others": 0.03},
    )
