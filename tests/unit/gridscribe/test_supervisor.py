import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gridscribe.supervisor import Command, StackError, Supervisor
from tests.fixtures.waiting import wait_until

Lines = list[tuple[str, str]]


def python(name: str, code: str, **options: object) -> Command:
    return Command(name, (sys.executable, "-c", code), **options)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


def test_killed_child_comes_back_with_a_message() -> None:
    lines: Lines = []
    supervisor = Supervisor([[python("one", SLEEPER)]], lambda *line: lines.append(line))
    supervisor.start()
    first = supervisor.pids["one"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pids["one"] != first)
    assert supervisor.deaths("one") == 1
    wait_until(lambda: lines.count(("one", "up")) >= 1)
    second = supervisor.pids["one"]
    supervisor.stop()
    assert ("stack", "one was killed by SIGKILL; starting it again in 0.5 s") in lines
    assert not is_alive(second)
    assert supervisor.pids == {}


def test_groups_stop_in_reverse_order() -> None:
    lines: Lines = []
    code = (
        "import signal, sys, time\n"
        "def leave(*_): print('left', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave); print('up', flush=True); time.sleep(60)"
    )
    supervisor = Supervisor(
        [[python(name, code)] for name in ("first", "second", "third")],
        lambda *line: lines.append(line),
    )
    supervisor.start()
    wait_until(lambda: len(lines) == 3)
    supervisor.stop()
    assert lines[3:] == [("third", "left"), ("second", "left"), ("first", "left")]


def test_child_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    lines: Lines = []
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    supervisor = Supervisor(
        [[python("stubborn", code, grace_seconds=0.2)]], lambda *line: lines.append(line)
    )
    supervisor.start()
    wait_until(lambda: ("stubborn", "up") in lines)
    pid = supervisor.pids["stubborn"]
    supervisor.stop()
    assert not is_alive(pid)
    assert ("stack", "stubborn did not stop in time; killing it") in lines


def test_failing_start_says_which_child_and_leaves_nothing_running() -> None:
    supervisor = Supervisor(
        [
            [python("fine", SLEEPER)],
            [python("broken", "raise SystemExit(7)", is_ready=lambda: False)],
        ],
        lambda *_: None,
    )
    with pytest.raises(StackError, match="broken exited with code 7 while starting"):
        supervisor.start()
    assert supervisor.pids == {}


def test_missing_program_is_named() -> None:
    supervisor = Supervisor([[Command("x", ("/no/such/program",))]], lambda *_: None)
    with pytest.raises(StackError, match="cannot start /no/such/program"):
        supervisor.start()


def test_children_and_grandchildren_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    grandparent = f"""
import sys, time
from gridscribe.supervisor import Command, Supervisor
child = '''
import os, pathlib, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
part = pathlib.Path({str(pid_file)!r} + ".part")
part.write_text(f"{{os.getpid()}} {{grandchild.pid}}")
part.rename({str(pid_file)!r})
time.sleep(60)
'''
Supervisor([[Command("child", (sys.executable, "-c", child))]], print).start()
time.sleep(60)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", grandparent])
    wait_until(pid_file.exists)
    pids = [int(pid) for pid in pid_file.read_text().split()]
    assert all(is_alive(pid) for pid in pids)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
