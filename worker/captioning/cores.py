"""How many cores this process may use, and who goes first on them."""

import os
import sys
import threading

BACKGROUND = 10
"""Added to the niceness: leaves a ninth of the weight."""
NICEST = 19


def available_cores() -> int:
    """Those it is allowed to run on, where the system tells; a container's share is not known."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def step_back(thread: int | None = None) -> None:
    """Lets a thread, and those that it starts, leave the cores to others who want them.

    `thread`: the system's id of it, or of a process that has only one; the calling one without it.

    For the model's threads, which always have work: decoding, leases and the next job's sheet are
    short, and somebody waits for them.
    """
    if sys.platform == "linux":  # where a priority is a thread's own
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(
            os.PRIO_PROCESS, thread or threading.get_native_id(), min(own + BACKGROUND, NICEST)
        )
