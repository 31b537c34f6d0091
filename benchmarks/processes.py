"""What processes of this machine take: memory and processor time. Linux."""

import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def resident_bytes(pids: Mapping[str, int]) -> dict[str, int]:
    """Memory of each process with its children, which share its process group."""
    shown = subprocess.run(
        ["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, check=True
    )
    groups: Counter[int] = Counter()
    for line in shown.stdout.splitlines():
        group, kilobytes = line.split()
        groups[int(group)] += int(kilobytes) * 1024
    return {name: groups[pid] for name, pid in pids.items()}


def processor_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Processor time that each process and its children, which share its group, have spent."""
    groups: Counter[int] = Counter()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        groups[int(fields[2])] += sum(map(int, fields[11:15]))
    return {name: groups[pid] * TICK for name, pid in pids.items()}


def busy_seconds() -> float:
    """Processor time that the whole machine has spent since it started, on whatever it was."""
    user, nice, system, _idle, _waiting, *interrupts = (
        int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + sum(interrupts[:2])) * TICK
