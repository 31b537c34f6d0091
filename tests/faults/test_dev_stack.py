"""`gridscribe dev` is killed outright, and started twice on one folder."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridscribe.client import Client
from tests.fixtures.deployment import ROOT, Process
from tests.fixtures.fault_jobs import PLAIN, pictures
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.faults

ENVIRONMENT = {
    "COLUMNS": "300",
    "PYTHONPATH": str(ROOT),
    **{
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRIDSCRIBE_") and name != "REDIS_URL"
    },
}
SERVERS = {"valkey", "dispatcher", "deliverer", "caption", "compose", "api"}


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "gridscribe", "dev", "--port=0", f"--data-dir={folder}"]


@contextmanager
def dev(folder: Path) -> Iterator[tuple[Process, str]]:
    """The process, once it says that the service is ready, and the service's address."""
    process = Process("dev", command(folder), ENVIRONMENT)
    try:
        wait_until(lambda: process.says("ready: http") or not process.is_running, 300)
        [address] = [
            found[1] for line in process.lines if (found := re.search(r"ready: (http\S+),", line))
        ]
        yield process, address
    finally:
        process.send_to_group(signal.SIGKILL)
        process.wait()


def descendants(pid: int) -> set[int]:
    """Of a process, at any depth."""
    listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True)
    children: dict[int, set[int]] = {}
    for line in listing.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, set()).add(child)
    found, new = set[int](), {pid}
    while new:
        new = set().union(*(children.get(each, set()) for each in new)) - found
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that run; a zombie does not."""
    found = set()
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status.rpartition(")")[2].split()[0] != "Z":
            found.add(pid)
    return found


def test_a_killed_stack_leaves_no_server_and_starts_again_on_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with dev(folder) as (process, address):
        with Client(address) as client:
            job = client.jobs.create(pictures(2), PLAIN)
            assert client.jobs.wait(job.id, timeout=300).status == "succeeded"
        servers = descendants(process.pid)
        assert len(servers) >= len(SERVERS)

        started = time.monotonic()
        second = subprocess.run(
            command(folder), env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True
        )
        assert second.returncode == 1
        assert f"is in use by process {process.pid}" in second.stderr
        assert "stop that one, or choose another folder" in second.stderr
        assert time.monotonic() - started < 60
        assert process.is_running
        assert alive(servers) == servers, "the first one works on"

        process.send(signal.SIGKILL)
        process.wait()
        wait_until(lambda: not alive(servers), what="servers outlive their killed supervisor")
    with dev(folder) as (_, address), Client(address) as client:
        assert client.jobs.get(job.id).status == "succeeded"
