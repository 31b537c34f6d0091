import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gridscribe
from shared.errors import UnreadableImageError
from tests.fixtures.process_tree import descendants, is_alive, those_that_see
from tests.fixtures.waiting import wait_until
from worker.captioning.captioner import ModelUnavailable
from worker.captioning.cores import BACKGROUND, NICEST
from worker.captioning.engine import TORCH
from worker.captioning.seeing_processes import SeeingProcesses
from worker.captioning.starter import StarterCaptioner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes fork on Linux only")

SAMPLES = Path(gridscribe.__file__).parent / "samples"
COFFEE, CAT = SAMPLES / "coffee.jpg", SAMPLES / "chelsea.jpg"
CORES = 2


def start(on_death: Callable[[], None] = lambda: None) -> SeeingProcesses:
    return SeeingProcesses("starter", TORCH, CORES, best_batch=4, on_death=on_death)


@pytest.fixture(scope="module")
def processes() -> Iterator[SeeingProcesses]:
    processes = start()
    yield processes
    processes.close()


def test_a_picture_looks_the_same_from_there(processes: SeeingProcesses) -> None:
    here = StarterCaptioner(1)
    with Image.open(COFFEE) as picture:
        expected = here.encode_images(here.preprocess(picture.convert("RGB"))[np.newaxis])[0]
    for lane in (processes.urgent, processes.ordinary):
        for file in (COFFEE, COFFEE.read_bytes()):
            (found,) = lane.encode([file])
            assert isinstance(found, np.ndarray)
            assert found @ expected > 0.999


def test_what_is_wrong_with_one_file_costs_no_other(
    processes: SeeingProcesses, tmp_path: Path
) -> None:
    torn = COFFEE.read_bytes()[:3000]
    good, damaged, missing, other = processes.urgent.encode([COFFEE, torn, tmp_path / "no", CAT])
    assert isinstance(good, np.ndarray)
    assert isinstance(damaged, UnreadableImageError)
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(other, np.ndarray)
    assert good @ other < 0.9
    (nothing,) = processes.urgent.encode([torn])
    assert isinstance(nothing, UnreadableImageError)


def test_as_many_threads_as_there_are_cores_are_answered_at_once(
    processes: SeeingProcesses,
) -> None:
    (expected,) = processes.ordinary.encode([COFFEE])
    assert isinstance(expected, np.ndarray)
    similar: list[float] = []

    def ask() -> None:
        for _ in range(5):
            (found,) = processes.ordinary.encode([COFFEE])
            similar.append(float(found @ expected) if isinstance(found, np.ndarray) else 0.0)

    threads = [threading.Thread(target=ask) for _ in range(2 * CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(similar) == 5 * 2 * CORES
    assert min(similar) > 0.999


def test_half_of_them_go_before_all_else_and_signals_to_stop_are_the_workers(
    processes: SeeingProcesses,
) -> None:
    pids = those_that_see(os.getpid())
    own = os.getpriority(os.PRIO_PROCESS, 0)
    later = min(own + BACKGROUND, NICEST)
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids] == [own, own, later, later]
    for pid in pids:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            os.kill(pid, number)
    (found,) = processes.urgent.encode([COFFEE])
    assert isinstance(found, np.ndarray)
    assert all(map(is_alive, pids))


def test_the_death_of_one_is_told_and_closing_ends_the_others() -> None:
    dead = threading.Event()
    before = set(descendants(os.getpid()))
    processes = start(dead.set)
    started = set(descendants(os.getpid())) - before
    assert len(started) == 1 + 2 * CORES
    urgent = [pid for pid in those_that_see(os.getpid()) if pid in started][:CORES]
    for pid in urgent:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, urgent)))
    with pytest.raises((EOFError, OSError)):
        processes.urgent.encode([COFFEE])
    assert dead.is_set()
    processes.close()
    assert not any(map(is_alive, started))


def test_they_end_with_the_worker_however_it_ends() -> None:
    script = """
import os, sys, time
from worker.captioning.engine import TORCH
from worker.captioning.seeing_processes import SeeingProcesses
processes = SeeingProcesses("starter", TORCH, 1, best_batch=None, on_death=lambda: None)
print("ready", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        started = descendants(worker.pid)
        assert len(started) == 3
        worker.kill()
    wait_until(lambda: not any(map(is_alive, started)))


def test_a_model_that_cannot_be_loaded_there_is_told_and_leaves_nothing() -> None:
    before = set(descendants(os.getpid()))
    with pytest.raises(ModelUnavailable, match="/does/not/exist"):
        SeeingProcesses(
            "local-dir:/does/not/exist", TORCH, 1, best_batch=None, on_death=lambda: None
        )
    assert set(descendants(os.getpid())) == before
