"""Faults of all kinds under mixed jobs, by seed: `python -m tests.chaos --seed 7 --minutes 2`.

With `--seeds 50 --report docs/reports/chaos.md` it goes through so many seeds, one after the other
on one service, and writes down what came of each. The exit code says whether all went well; with
`--log FILE` the lines of the service's processes go there.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.receiver import Receiver
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
    seconds: float
    """That all of it took."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A service, and what its parts meet on their ways to the store and to the outside."""

    service: Deployment
    proxy: Proxy
    receiver: Receiver


@contextmanager
def troubled_service(folder: Path) -> Iterator[Scene]:
    """A service with two captioning workers, all of it but the store behind a proxy."""
    reach = {"allowed_networks": "127.0.0.0/8", "allowed_ports": "*"}
    with (
        Deployment(folder, stop_seconds=1, webhook_timeout_seconds=2, **reach) as service,
        Receiver(folder / "receiver") as receiver,
    ):
        service.start("valkey")
        with Proxy(service.redis_url) as proxy:
            service.start(*BEHIND_THE_PROXY, redis_url=proxy.url)
            yield Scene(service, proxy, receiver)


def play(scene: Scene, seed: int, seconds: float) -> Round:
    """One seed's trouble, and what is left of the promises."""
    started = time.monotonic()
    trouble = Trouble(scene.service, scene.proxy, scene.receiver, seed)
    trouble.run(seconds)
    verdict = judge(trouble, PATIENCE)
    return Round(seed, trouble.faults.total(), verdict, time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--minutes", type=float, default=0.25, help="of each seed")
    parser.add_argument("--report", type=Path, help="a Markdown file to write")
    parser.add_argument("--log", type=Path, help="for the lines of the service's processes")
    options = parser.parse_args()
    rounds: list[Round] = []
    with ExitStack() as stack:
        if options.log:
            options.log.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(options.log.open("w", buffering=1))
            stack.enter_context(redirect_stderr(log))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gridscribe-chaos-"))
        scene = stack.enter_context(troubled_service(Path(folder)))
        _say(_HEAD)
        for seed in range(options.seed, options.seed + options.seeds):
            rounds.append(play(scene, seed, options.minutes * 60))
            _say(_row(rounds[-1]))
            if options.report:
                options.report.write_text(_report(rounds, options.minutes))
    sys.exit(any(each.verdict.broken for each in rounds))


def _say(lines: str) -> None:
    sys.stdout.write(f"{lines}\n")
    sys.stdout.flush()


_COLUMNS = (
    *("seed", "faults", "jobs", "succeeded", "canceled", "deleted", "failed", "settled after, s"),
    *("messages", "late", "repeated", "seconds", "broken"),
)
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}"


def _row(each: Round) -> str:
    verdict, told = each.verdict, each.verdict.deliveries
    cells = (
        *(each.seed, each.faults, verdict.ends.total()),
        *(verdict.ends[name] for name in ("succeeded", "canceled", "deleted", "failed")),
        f"{verdict.settled_after:.1f}",
        *(told.made, told.late, told.repeated, f"{each.seconds:.0f}"),
        "; ".join(verdict.broken) or "none",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _report(rounds: Sequence[Round], minutes: float) -> str:
    jobs = sum(each.verdict.ends.total() for each in rounds)
    faults = sum(each.faults for each in rounds)
    messages = sum(each.verdict.deliveries.made for each in rounds)
    broken = sum(len(each.verdict.broken) for each in rounds)
    date = time.strftime("%Y-%m-%d")
    return f"""# Chaos

{len(rounds)} seeds of {minutes * 60:g} seconds each: {faults} faults under {jobs} jobs and
{messages} messages about them; {broken} promises were broken. Written by `make chaos` on {date}.

One seed after the other meets one service of real processes: a store, an API process, a
dispatcher, two captioning workers with a stand-in for the model, a compose worker, and a deliverer
of webhooks. Processes are killed, stopped for less and for more than a lease, and asked to end,
once or twice; the store is killed and stopped; connections to it are black-holed, cut and slowed
down. Meanwhile jobs of 1 to 24 pictures are submitted, canceled, retried and deleted. Each names a
receiver of webhooks, a process that fails, asks for time, hangs, and breaks connections off before
and after it took a message, and is itself killed.

Afterwards every accepted job must be over, each picture's caption counted once, each file have its
record and each record its files, and the sets of the store agree with the records
(`tests/chaos/verdict.py`). Each end of a job must have its message, and each message have come or
still be scheduled. Then the receiver gets well, days are let pass in the store, and every message
must have come, with a good signature, and under the same id whenever it came again
(`tests/chaos/deliveries.py`). The same seed plans the same faults; which step they meet is chance.

"Late" were still scheduled when the jobs were over; "repeated" came more than once.

{_HEAD}
{chr(10).join(map(_row, rounds))}
"""


if __name__ == "__main__":
    main()
