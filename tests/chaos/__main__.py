"""Faults of all kinds under mixed jobs, by seed: `python -m tests.chaos --seed 7 --minutes 2`.

With `--seeds 50 --report docs/reports/chaos.md` it goes through so many seeds, one after the other
on one service, and writes down what came of each. The exit code says whether all went well.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.trouble import BEHIND_THE_PROXY, Trouble
from tests.chaos.verdict import Verdict, judge
from tests.fixtures.deployment import Deployment
from tests.fixtures.proxy import Proxy

PATIENCE = 240.0


@dataclass(frozen=True, slots=True)
class Round:
    seed: int
    faults: int
    verdict: Verdict


@contextmanager
def troubled_service(folder: Path) -> Iterator[tuple[Deployment, Proxy]]:
    """A service with two captioning workers, all of it but the store behind a proxy."""
    with Deployment(folder, stop_seconds=1) as service:
        service.start("valkey")
        with Proxy(service.redis_url) as proxy:
            service.start(*BEHIND_THE_PROXY, redis_url=proxy.url)
            yield service, proxy


def play(service: Deployment, proxy: Proxy, seed: int, seconds: float) -> Round:
    """One seed's trouble, and what is left of the promises."""
    trouble = Trouble(service, proxy, seed)
    trouble.run(seconds)
    verdict = judge(service, trouble.submissions, PATIENCE)
    return Round(seed, trouble.faults.total(), verdict)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--minutes", type=float, default=0.25, help="of each seed")
    parser.add_argument("--report", type=Path, help="a Markdown file to write")
    options = parser.parse_args()
    rounds: list[Round] = []
    with (
        tempfile.TemporaryDirectory(prefix="gridscribe-chaos-") as folder,
        troubled_service(Path(folder)) as (service, proxy),
    ):
        for seed in range(options.seed, options.seed + options.seeds):
            rounds.append(play(service, proxy, seed, options.minutes * 60))
            sys.stdout.write(f"{_row(rounds[-1])}\n")
            sys.stdout.flush()
            if options.report:
                options.report.write_text(_report(rounds, options.minutes))
    sys.exit(any(each.verdict.broken for each in rounds))


def _row(each: Round) -> str:
    ends = each.verdict.ends
    counts = (ends[name] for name in ("succeeded", "canceled", "deleted", "failed"))
    broken = "; ".join(each.verdict.broken) or "none"
    return (
        f"| {each.seed} | {each.faults} | {ends.total()} | {' | '.join(map(str, counts))}"
        f" | {each.verdict.settled_after:.1f} | {broken} |"
    )


def _report(rounds: Iterable[Round], minutes: float) -> str:
    rounds = list(rounds)
    jobs = sum(each.verdict.ends.total() for each in rounds)
    faults = sum(each.faults for each in rounds)
    broken = sum(len(each.verdict.broken) for each in rounds)
    return f"""# Chaos

{len(rounds)} seeds of {minutes * 60:g} seconds each: {faults} faults under {jobs} jobs;
{broken} promises were broken. Written by `make chaos` on {time.strftime("%Y-%m-%d")}.

One seed after the other meets one service of real processes: a store, an API process, a dispatcher,
two captioning workers with a stand-in for the model, and a compose worker. Processes are killed,
stopped for less and for more than a lease, and asked to end, once or twice; the store is killed and
stopped; connections to it are black-holed, cut and slowed down. Meanwhile jobs of 1 to 24 pictures
are submitted, canceled, retried and deleted.

Afterwards every accepted job must be over, each picture's caption counted once, each file have its
record and each record its files, and the sets of the store agree with the records
(`tests/chaos/verdict.py`). The same seed plans the same faults; which step they meet is chance.

| seed | faults | jobs | succeeded | canceled | deleted | failed | settled after, s | broken |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(map(_row, rounds))}
"""


if __name__ == "__main__":
    main()
